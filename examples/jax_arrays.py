"""JAX as a plugin: `python -m harness run speed-short --plugin examples/jax_arrays.py --backend jax-arrays`."""

from functools import cache

import numpy as np

import harness


@cache  # one compiled function for each window; JAX compiles it once for each shape
def compile_conv(window):
    import jax  # here, not at the top: every command imports every plugin

    jax.config.update("jax_enable_x64", True)

    def conv(x, w, b=None):
        y = jax.lax.conv_general_dilated(
            x, w, window.stride, window.padding, rhs_dilation=window.dilation, feature_group_count=window.groups
        )
        return y if b is None else y + b.reshape(1, -1, 1, 1)

    return jax.jit(conv)


class JaxArrays(harness.Backend):
    name = "jax-arrays"
    axes = (2,)
    dtypes = ("float64", "float32")

    def probe(self):
        try:
            one = self.to_device(np.ones((1, 1, 1, 1), np.float32))
            self.synchronize(self.conv(one, one, None, harness.Window.of(2)))
        except Exception as error:  # it is not installed, or not able to run here
            return f"{type(error).__name__}: {error}; it needs pip install jax"

    def to_device(self, array):
        import jax

        jax.config.update("jax_enable_x64", True)
        return jax.numpy.array(array)  # a copy: the harness writes into its own array

    def to_host(self, array):
        return np.asarray(array)

    def synchronize(self, result=None):  # calls of JAX return before they are computed
        import jax

        jax.block_until_ready(result)

    def refusal_types(self):
        return (NotImplementedError,)

    def conv(self, x, w, b, window):
        window.check_conv(x.shape, w.shape)
        return compile_conv(window)(x, w) if b is None else compile_conv(window)(x, w, b)

    def prepare(self, problem, arrays):  # compiles, untimed; the call reads `arrays` anew each time
        def call():
            return self.conv(arrays["x"], arrays["w"], arrays.get("b"), problem.window)

        self.synchronize(call())
        return call


@harness.hookimpl
def register_backends(register):
    register(JaxArrays())
