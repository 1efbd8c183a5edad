/* Convolution and maximum pooling in C, for any number of axes:

       cc -O2 -shared -fPIC -I "$(dirname "$(python -m harness plugins --header)")" examples/mine.c -o libmine.so
       python -m harness run correctness --plugin ./libmine.so --backend mine-c
*/

#include <math.h>
#include <stddef.h>

#include "harness_backend.h"

/* Calls `body` for each tap of the window at `place`, with the position in the plane of x that the tap reads. */
#define FOR_EACH_TAP(p, place, tap, position, body)                                                     \
    for (int64_t u0 = 0, tap = 0; u0 < (p)->kernel[0]; u0++)                                            \
        for (int64_t u1 = 0; u1 < (p)->kernel[1]; u1++)                                                 \
            for (int64_t u2 = 0; u2 < (p)->kernel[2]; u2++, tap++) {                                    \
                const int64_t i0 = (place)[0] * (p)->stride[0] + u0 * (p)->dilation[0] - (p)->pad_begin[0]; \
                const int64_t i1 = (place)[1] * (p)->stride[1] + u1 * (p)->dilation[1] - (p)->pad_begin[1]; \
                const int64_t i2 = (place)[2] * (p)->stride[2] + u2 * (p)->dilation[2] - (p)->pad_begin[2]; \
                if (i0 < 0 || i0 >= (p)->space[0] || i1 < 0 || i1 >= (p)->space[1] || i2 < 0 ||          \
                    i2 >= (p)->space[2])                                                                \
                    continue;                                                                           \
                const int64_t position = (i0 * (p)->space[1] + i1) * (p)->space[2] + i2;                \
                body                                                                                    \
            }

static int64_t product(const int64_t *sizes) { return sizes[0] * sizes[1] * sizes[2]; }

static const char *conv(const harness_problem *p, const harness_arrays *a, void *plan) {
    const float *x = a->x, *w = a->w, *b = a->b;
    float *y = a->y;
    const int64_t plane = product(p->space), taps = product(p->kernel), cg = p->c / p->groups, og = p->o / p->groups;
    (void)plan;
    for (int64_t n = 0; n < p->n; n++)
        for (int64_t o = 0; o < p->o; o++) {
            const float *inputs = x + (n * p->c + o / og * cg) * plane, *kernel = w + o * cg * taps;
            int64_t at[3];
            for (at[0] = 0; at[0] < p->out[0]; at[0]++)
                for (at[1] = 0; at[1] < p->out[1]; at[1]++)
                    for (at[2] = 0; at[2] < p->out[2]; at[2]++) {
                        float sum = 0;
                        FOR_EACH_TAP(p, at, tap, position, {
                            for (int64_t c = 0; c < cg; c++)
                                sum += kernel[c * taps + tap] * inputs[c * plane + position];
                        })
                        *y++ = p->bias ? sum + b[o] : sum;
                    }
        }
    return NULL;
}

static const char *max_pool(const harness_problem *p, const harness_arrays *a, void *plan) {
    const float *x = a->x;
    float *y = a->y;
    int64_t *indices = a->indices;
    const int64_t plane = product(p->space);
    (void)plan;
    for (int64_t map = 0; map < p->n * p->c; map++, x += plane) {
        int64_t at[3];
        for (at[0] = 0; at[0] < p->out[0]; at[0]++)
            for (at[1] = 0; at[1] < p->out[1]; at[1]++)
                for (at[2] = 0; at[2] < p->out[2]; at[2]++) {
                    int64_t best = -1;
                    FOR_EACH_TAP(p, at, tap, position, {
                        (void)tap;
                        if (best < 0 || (!isnan(x[best]) && !(x[position] <= x[best])))
                            best = position;
                    })
                    *y++ = best < 0 ? -INFINITY : x[best];
                    *indices++ = best;
                }
    }
    return NULL;
}

static const harness_backend backend = {
    .abi = HARNESS_ABI,
    .size = sizeof(harness_backend),
    .description = "{\"name\": \"mine-c\", \"dtypes\": [\"float32\"]}",
    .conv = conv,
    .max_pool = max_pool,
};

const harness_backend *harness_get_backend(void) { return &backend; }
