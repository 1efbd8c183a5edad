/* A backend in any language with a C interface: one shared library, named with `--plugin ./libmine.so`.

   The library exports one function, harness_get_backend, which returns a table of functions. A function that is NULL is
   absent: an operator without one is derived from others where that is possible, or unsupported. Functions that can
   fail return NULL on success, or the reason as a text in UTF-8 that stays valid until the thread's next call.

   All arrays are dense and do not overlap. Kernels are correlated, never flipped. A function may be called by several
   threads at the same time, unless the description says {"numerics": {"reentrant": false}}. */

#ifndef HARNESS_BACKEND_H
#define HARNESS_BACKEND_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HARNESS_ABI 1

enum harness_operator {
    HARNESS_CONV,
    HARNESS_CONV_INPUT_GRAD,
    HARNESS_CONV_WEIGHT_GRAD,
    HARNESS_CONV_BIAS_GRAD,
    HARNESS_CONV_TRANSPOSE,
    HARNESS_MAX_POOL,
    HARNESS_MAX_POOL_GRAD,
    HARNESS_AVG_POOL,
    HARNESS_AVG_POOL_GRAD
};

enum harness_dtype { HARNESS_FLOAT64, HARNESS_FLOAT32, HARNESS_FLOAT16, HARNESS_BFLOAT16 };

/* Memory order of all arrays with spatial axes: n c d h w, or n d h w c (kernels: o c d h w, or o d h w c). */
enum harness_layout { HARNESS_CHANNELS_FIRST, HARNESS_CHANNELS_LAST };

/* The geometry of a call. Numbers per axis stand first for the first spatial axis. Axes beyond `axes` have the size 1,
   stride 1, dilation 1 and no padding, so that loops over three axes compute one and two as well.

   x is (n, c, *space) and y is (n, o, *out); dx has the shape of x, dy of y, dw of w, db and b are (o).
   w is (o, c / groups, *kernel); of conv_transpose, (c, o / groups, *kernel). Pooling has o = c and groups = 1.
   conv_bias_grad depends on dy alone: n, o and out; the rest is that of a kernel of one tap on one channel.

   Convolution and its gradients: y[i] reads x[stride * i + dilation * u - pad_begin] for each tap u of the kernel.
   Positions outside of x are 0 for sums, and are not there for maxima. conv_transpose adds w times x[i] to
   y[stride * i + dilation * u - pad_begin], if that is inside of y. */
typedef struct harness_problem {
    int32_t operation; /* enum harness_operator */
    int32_t dtype;     /* enum harness_dtype: of all arrays but indices */
    int32_t layout;    /* enum harness_layout */
    int32_t axes;      /* 1, 2 or 3 */
    int32_t bias;      /* 1: b is not NULL */
    int32_t ceil_mode;         /* pooling: the last window may begin inside and end outside; `out` has counted it */
    int32_t count_include_pad; /* avg_pool: the divisor counts padding, though not what ceil_mode adds beyond it */
    int32_t reserved;
    int64_t n, c, o, groups;
    int64_t space[3], kernel[3], out[3];
    int64_t stride[3], dilation[3], pad_begin[3], pad_end[3];
    int64_t output_padding[3]; /* conv_transpose: `out` has counted it */
} harness_problem;

/* The arrays of a call; those that an operator does not have are NULL. Inputs must not be changed, and are aligned to
   their elements, not more. Outputs are aligned to 64 bytes.
   conv, conv_transpose: x, w, b -> y      conv_input_grad: dy, w -> dx     conv_weight_grad: dy, x -> dw
   conv_bias_grad: dy -> db                max_pool: x -> y, indices        max_pool_grad: dy, x, indices -> dx
   avg_pool: x -> y                        avg_pool_grad: dy -> dx
   indices: of each maximum, flat over the spatial axes of x, per map. */
typedef struct harness_arrays {
    const void *x, *w, *b, *dy;
    void *y, *dx, *dw, *db;
    int64_t *indices;
} harness_arrays;

/* plan: what `prepare` has made, or NULL without it. */
typedef const char *(*harness_function)(const harness_problem *problem, const harness_arrays *arrays, void *plan);

typedef struct harness_backend {
    uint32_t abi;  /* HARNESS_ABI */
    uint32_t size; /* sizeof(harness_backend) */

    /* JSON: {"name": "mine", "axes": [1, 2, 3], "dtypes": ["float32"], "layouts": ["channels-first"], "grouped": true,
       "rate": 1e9, "numerics": {"algorithm": "direct"}, "versions": {"mine": "1.0"}}. Only the name is required.
       The values here are the defaults, except that dtypes are float64 and float32, and there are no versions. */
    const char *description;

    harness_function conv;
    harness_function conv_input_grad;
    harness_function conv_weight_grad;
    harness_function conv_bias_grad;
    harness_function conv_transpose;
    harness_function max_pool;
    harness_function max_pool_grad;
    harness_function avg_pool;
    harness_function avg_pool_grad;

    /* The reason why this backend cannot run here; NULL where it can. */
    const char *(*probe)(void);

    /* The reason why a problem is not computed. Must not depend on anything but the problem. */
    const char *(*supports)(const harness_problem *problem);

    /* Plan, pack w and b, allocate: not part of the time. Every other array changes before every call. After a reason
       why it failed, `destroy` is not called. */
    const char *(*prepare)(const harness_problem *problem, const harness_arrays *arrays, void **plan);
    void (*destroy)(void *plan);

    /* Bytes that a call needs in addition to its arrays. */
    int64_t (*workspace)(const harness_problem *problem);

    /* Compute with so many threads from now on; returns the number that is in effect. */
    int32_t (*set_threads)(int32_t threads);
} harness_backend;

__attribute__((visibility("default"))) const harness_backend *harness_get_backend(void);

#ifdef __cplusplus
}
#endif

#endif
