//! Average pooling in Rust, for any number of axes and two dtypes:
//!
//!     rustc -O --crate-type cdylib examples/mine.rs -o libmine_rs.so
//!     python -m harness run correctness --plugin ./libmine_rs.so --backend mine-rs
//!
//! The structures are those of `python -m harness plugins --header`.

use std::ffi::{c_char, c_void};
use std::ops::{AddAssign, Div};
use std::ptr;

const ABI: u32 = 1;
const FLOAT64: i32 = 0;

#[repr(C)]
pub struct Problem {
    operation: i32,
    dtype: i32,
    layout: i32,
    axes: i32,
    bias: i32,
    ceil_mode: i32,
    count_include_pad: i32,
    reserved: i32,
    n: i64,
    c: i64,
    o: i64,
    groups: i64,
    space: [i64; 3],
    kernel: [i64; 3],
    out: [i64; 3],
    stride: [i64; 3],
    dilation: [i64; 3],
    pad_begin: [i64; 3],
    pad_end: [i64; 3],
    output_padding: [i64; 3],
}

#[repr(C)]
pub struct Arrays {
    x: *const c_void,
    w: *const c_void,
    b: *const c_void,
    dy: *const c_void,
    y: *mut c_void,
    dx: *mut c_void,
    dw: *mut c_void,
    db: *mut c_void,
    indices: *mut i64,
}

type Function = Option<unsafe extern "C" fn(&Problem, &Arrays, *mut c_void) -> *const c_char>;

#[repr(C)]
pub struct Backend {
    abi: u32,
    size: u32,
    description: *const c_char,
    operators: [Function; 9], // conv, its gradients, conv_transpose, max_pool, max_pool_grad, avg_pool, avg_pool_grad
    others: [*const c_void; 6], // probe, supports, prepare, destroy, workspace, set_threads
}

unsafe impl Sync for Backend {}

/// Sum and number of the positions of one window, and the number of those that its divisor counts.
fn sum_window<T: Copy + AddAssign + Default>(p: &Problem, plane: &[T], at: [i64; 3]) -> (T, i64) {
    let (mut sum, mut counted) = (T::default(), 0);
    for tap in 0..p.kernel.iter().product::<i64>() {
        let tap = [tap / (p.kernel[1] * p.kernel[2]), tap / p.kernel[2] % p.kernel[1], tap % p.kernel[2]];
        let mut place = [0i64; 3];
        let (mut inside, mut padded) = (true, true);
        for axis in 0..3 {
            place[axis] = at[axis] * p.stride[axis] + tap[axis] * p.dilation[axis] - p.pad_begin[axis];
            inside &= (0..p.space[axis]).contains(&place[axis]);
            padded &= place[axis] < p.space[axis] + p.pad_end[axis];
        }
        if inside {
            sum += plane[((place[0] * p.space[1] + place[1]) * p.space[2] + place[2]) as usize];
        }
        if inside || (padded && p.count_include_pad != 0) {
            counted += 1;
        }
    }
    (sum, counted)
}

unsafe fn pool<T: Copy + AddAssign + Default + Div<Output = T>>(p: &Problem, a: &Arrays, from: fn(i64) -> T) {
    let (size, out) = (p.space.iter().product::<i64>() as usize, p.out.iter().product::<i64>() as usize);
    for map in 0..(p.n * p.c) as usize {
        let plane = std::slice::from_raw_parts((a.x as *const T).add(map * size), size);
        let y = std::slice::from_raw_parts_mut((a.y as *mut T).add(map * out), out);
        for (number, value) in y.iter_mut().enumerate() {
            let number = number as i64;
            let at = [number / (p.out[1] * p.out[2]), number / p.out[2] % p.out[1], number % p.out[2]];
            let (sum, counted) = sum_window(p, plane, at);
            *value = if counted == 0 { T::default() } else { sum / from(counted) };
        }
    }
}

unsafe extern "C" fn avg_pool(p: &Problem, a: &Arrays, _plan: *mut c_void) -> *const c_char {
    if p.dtype == FLOAT64 {
        pool::<f64>(p, a, |count| count as f64);
    } else {
        pool::<f32>(p, a, |count| count as f32);
    }
    ptr::null()
}

static BACKEND: Backend = Backend {
    abi: ABI,
    size: std::mem::size_of::<Backend>() as u32,
    description: b"{\"name\": \"mine-rs\", \"dtypes\": [\"float32\", \"float64\"]}\0" as *const u8 as *const c_char,
    operators: [None, None, None, None, None, None, None, Some(avg_pool), None],
    others: [ptr::null(); 6],
};

#[no_mangle]
pub extern "C" fn harness_get_backend() -> &'static Backend {
    &BACKEND
}
