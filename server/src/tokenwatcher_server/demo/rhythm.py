"""How many calls a stream makes in an hour, relative to others: rhythm, growth and the story."""

from collections.abc import Mapping
from random import Random

from tokenwatcher_server.demo.company import Rhythm, Stream
from tokenwatcher_server.kernel.clock import DAY_US, to_datetime

HOUR_US = DAY_US // 24
GROWTH_PER_DAY = 1.0065
WEIGHT_UNIT = 1_000_000

_RHYTHMS: Mapping[Rhythm, tuple[tuple[int, ...], float]] = {
    # the weight of each hour of the day (UTC), and what is left of it on a weekend
    "office": (
        (0, 0, 0, 0, 0, 1, 4, 14, 34, 46, 48, 42, 30, 40, 48, 46, 38, 24, 10, 4, 2, 1, 0, 0),
        0.12,
    ),
    "customers": (
        (7, 5, 4, 4, 5, 8, 13, 21, 30, 36, 38, 37, 34, 36, 38, 37, 34, 31, 29, 28, 25, 20, 15, 10),
        0.58,
    ),
    "night": ((10, 60, 90, 90, 60, 10, *(0,) * 17, 4), 0.9),
    "flat": ((20,) * 24, 0.8),
}


def weight(stream: Stream, hour_us: int, length_us: int, age: int, rng: Random) -> int:
    """The stream's weight in `length_us` of the hour that starts at `hour_us`, `age` days ago.

    A whole number of millionths, so that a total can be spread over many weights exactly.
    """
    moment = to_datetime(hour_us)
    by_hour, weekend = _RHYTHMS[stream.rhythm]
    if is_spiking(stream, hour_us, age) and stream.spike:
        share = stream.spike.factor / 24  # its size must not depend on the weekday it falls on
    else:
        share = by_hour[moment.hour] / sum(by_hour)
        share *= weekend if moment.weekday() >= 5 else 1.0
        share *= stream.ramp.at(age) if stream.ramp else 1.0
    noise = rng.lognormvariate(0, 0.09)
    grown = GROWTH_PER_DAY**-age
    return round(stream.calls * share * noise * grown * length_us / HOUR_US * WEIGHT_UNIT)


def is_spiking(stream: Stream, hour_us: int, age: int) -> bool:
    spike = stream.spike
    hour = hour_us % DAY_US // HOUR_US
    return spike is not None and spike.age == age and spike.first_hour <= hour < spike.last_hour
