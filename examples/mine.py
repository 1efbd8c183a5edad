"""A backend as a plugin: `python -m harness run suite --plugin examples/mine.py --backend mine --backend torch`."""

import numpy as np

import harness


class Mine(harness.Backend):
    name = "mine"
    axes = (2,)  # the harness runs 1-D problems as rows of 2-D ones
    grouped = False  # and calls once per group

    def conv(self, x, w, b, window):  # x (N,C,*S), w (O,C/groups,*K), b (O,) or None -> y (N,O,*P)
        window.check_conv(x.shape, w.shape)  # an impossible window is an error, not an answer
        x = np.pad(x, ((0, 0), (0, 0), *window.padding))
        patches = np.lib.stride_tricks.sliding_window_view(x, window.reach(w.shape[2:]), axis=(2, 3))
        (sh, sw), (dh, dw) = window.stride, window.dilation
        patches = patches[:, :, ::sh, ::sw, ::dh, ::dw]
        y = np.einsum("nchwij,ocij->nohw", patches, w, dtype=np.promote_types(x.dtype, "f4"))
        return (y if b is None else y + b.reshape(1, -1, 1, 1)).astype(x.dtype)


@harness.hookimpl
def register_backends(register):
    register(Mine())
