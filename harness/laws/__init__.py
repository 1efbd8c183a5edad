"""Judgement of answers: laws, the backend under test, error bounds and deviations.

`harness` names what every law needs; bounds, networks, threads and large arrays are public here.

`LAMBDA`: 8, the factor of probabilistic bounds: the sum of K roundings of u exceeds LAMBDA sqrt(K) u with probability
below 3e-14 K (Higham and Mary 2019).
`NOISE_DRAWS`: number of evaluations of a network with noise. `GLUE_ROUNDINGS`: roundings, in units of u, of one
element-wise operation between operators. `PATIENCE_OF_ALL_S`: seconds in which calls at the same time must end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.laws.deviation import nothing_to_show
    from harness.laws.error_bounds import (
        LAMBDA,
        check_answers,
        check_outputs,
        input_rounding,
        is_exact,
        judge_output,
        magnitude,
        make_check,
        norm_bound,
        rounding_bound,
        same_bits,
        sum_bound,
    )
    from harness.laws.meeting import Caller, Meetings
    from harness.laws.nan_reach import find_nan_reach
    from harness.laws.networks.error_bounds import (
        GLUE_ROUNDINGS,
        NOISE_DRAWS,
        add_relative_noise,
        compute_noisily,
        compute_reference,
        take_elements,
    )
    from harness.laws.networks.subject import NetworkUnderTest, copy_to_host
    from harness.laws.networks.verify import verify_network, verify_network_layers
    from harness.laws.overlapping import PATIENCE_OF_ALL_S
    from harness.laws.sampling.beyond import (
        call_on_large_arrays,
        draw_large_arrays,
        is_beyond_32_bits,
        judge_large_outputs,
    )
    from harness.laws.subject import NoRoomError, NotExactError, PreparedCall
    from harness.laws.threads import Turning, has_thread_switch, limit_threads, watch_threads
else:
    from harness.lazy import load_lazily

    __getattr__, __dir__ = load_lazily(
        __name__,
        {
            "deviation": "nothing_to_show",
            "error_bounds": (
                "LAMBDA check_answers check_outputs input_rounding is_exact judge_output magnitude make_check "
                "norm_bound rounding_bound same_bits sum_bound"
            ),
            "meeting": "Caller Meetings",
            "nan_reach": "find_nan_reach",
            "networks.error_bounds": (
                "GLUE_ROUNDINGS NOISE_DRAWS add_relative_noise compute_noisily compute_reference take_elements"
            ),
            "networks.subject": "NetworkUnderTest copy_to_host",
            "networks.verify": "verify_network verify_network_layers",
            "overlapping": "PATIENCE_OF_ALL_S",
            "sampling.beyond": "call_on_large_arrays draw_large_arrays is_beyond_32_bits judge_large_outputs",
            "subject": "NoRoomError NotExactError PreparedCall",
            "threads": "Turning has_thread_switch limit_threads watch_threads",
        },
    )

__all__ = [
    "GLUE_ROUNDINGS", "LAMBDA", "NOISE_DRAWS", "PATIENCE_OF_ALL_S", "Caller", "Meetings", "NetworkUnderTest",
    "NoRoomError", "NotExactError", "PreparedCall", "Turning", "add_relative_noise",
    "call_on_large_arrays", "check_answers", "check_outputs", "compute_noisily", "compute_reference",
    "copy_to_host", "draw_large_arrays", "find_nan_reach", "has_thread_switch", "input_rounding",
    "is_beyond_32_bits", "is_exact",
    "judge_large_outputs", "judge_output", "limit_threads", "magnitude", "make_check", "norm_bound",
    "nothing_to_show", "rounding_bound", "same_bits", "sum_bound", "take_elements", "verify_network",
    "verify_network_layers", "watch_threads",
]  # fmt: skip
