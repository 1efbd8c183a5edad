"""Minimal filtering F(m x m, 3 x 3) after Winograd (1980) and Lavin and Gray (2016): right, and norm-wise only."""

import numpy as np

import harness

# B^T, G, A^T of F(2, 3) and F(4, 3)
TRANSFORMS = {
    2: (
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
        [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
        [[1, 1, 1, 0], [0, 1, -1, -1]],
    ),
    4: (
        [
            [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
        ],
        [
            [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
        ],
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    ),
}  # fmt: skip


class Winograd(harness.Backend):
    """3x3 kernels of two axes, stride and dilation 1; everything in the dtype of the data."""

    axes = (2,)
    grouped = False
    dtypes = ("float64", "float32")

    def __init__(self, tile):
        self.tile = tile
        self.name = f"control:winograd-{tile}"
        self.numerics = harness.Numerics(algorithm="winograd", tile=tile, nan_local=False)

    def supports(self, problem):
        window = problem.window
        if problem.kernel != (3, 3) or window.stride != (1, 1) or window.dilation != (1, 1):
            return f"{self.name} has 3x3 kernels of stride and dilation 1 only"
        return None

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        m, out = self.tile, window.output_shape(x.shape[2:], w.shape[2:])
        forth, kernels, back = (np.array(matrix, dtype=x.dtype) for matrix in TRANSFORMS[m])
        tiles = [-(-p // m) for p in out]
        sizes = zip(tiles, x.shape[2:], window.padding, strict=True)
        grown = [m * count + 2 - n - begin for count, n, (begin, _) in sizes]
        widths = [(begin, max(0, end)) for (begin, _), end in zip(window.padding, grown, strict=True)]
        padded = np.pad(x, ((0, 0), (0, 0), *widths))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (m + 2, m + 2), axis=(2, 3))
        d = windows[:, :, : m * tiles[0] : m, : m * tiles[1] : m]  # n c i j u v
        v = np.einsum("au,ncijuv,bv->abncij", forth, d, forth, optimize=True)
        u = np.einsum("au,ocuv,bv->aboc", kernels, w, kernels, optimize=True)
        mixed = np.einsum("aboc,abncij->abnoij", u, v, optimize=True)
        y = np.einsum("ya,abnoij,zb->noiyjz", back, mixed, back, optimize=True)
        y = y.reshape(x.shape[0], w.shape[0], m * tiles[0], m * tiles[1])[:, :, : out[0], : out[1]]
        return np.ascontiguousarray(y if b is None else y + b.reshape(1, -1, 1, 1)).astype(x.dtype)


@harness.hookimpl
def register_backends(register):
    for tile in TRANSFORMS:
        register(Winograd(tile))
