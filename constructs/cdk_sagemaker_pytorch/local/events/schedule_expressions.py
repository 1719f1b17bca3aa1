"""Schedules of EventBridge's rules: `rate(5 minutes)` and `cron(0 12 * * ? *)`, in UTC."""

import calendar
import datetime as dt
import re

_RATE = re.compile(r"rate\((\d+) (minute|hour|day)s?\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), 1)}
_NAMES = {name.upper(): number for name, number in (_MONTHS | _DAYS).items()}
_LAST_YEAR = 2199


class ScheduleError(ValueError):
    """An expression that EventBridge would refuse."""


def next_time(expression: str, after: dt.datetime) -> dt.datetime | None:
    """Return when a schedule is due next.

    Parameters
    ----------
    expression
        `rate(...)` or `cron(...)`.
    after
        The last time it was due, or when it was made; with a time zone.

    Returns
    -------
    datetime or None
        None where it is never due again.

    Raises
    ------
    ScheduleError
        If the expression is not valid.
    """
    if rate := _RATE.fullmatch(expression):
        return after + dt.timedelta(**{f"{rate[2]}s": _positive(rate[1], expression)})
    cron = _CRON.fullmatch(expression)
    if cron is None:
        raise ScheduleError(f"a schedule is rate(...) or cron(...) with six fields, got {expression}")
    if (cron[3] == "?") is (cron[5] == "?"):
        raise ScheduleError(f"one of day of month and day of week must be ?, got {expression}")
    try:
        return _next_of_cron(*cron.groups(), after=after.astimezone(dt.UTC))
    except ValueError as error:
        raise ScheduleError(f"{expression}: {error}") from error


def _positive(number: str, expression: str) -> int:
    if int(number) < 1:
        raise ScheduleError(f"a rate is at least 1, got {expression}")
    return int(number)


def _next_of_cron(
    minute: str, hour: str, day: str, month: str, weekday: str, year: str, *, after: dt.datetime
) -> dt.datetime | None:
    minutes, hours = _values(minute, 0, 59), _values(hour, 0, 23)
    months, years = _values(month, 1, 12), _values(year, 1970, _LAST_YEAR)
    begin = after.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
    for each_year in sorted(number for number in years if number >= begin.year):
        for each_month in sorted(months):
            if (each_year, each_month) < (begin.year, begin.month):
                continue
            for each_day in sorted(_days(day, weekday, each_year, each_month)):
                for each_hour in sorted(hours):
                    for each_minute in sorted(minutes):
                        time = dt.datetime(
                            each_year, each_month, each_day, each_hour, each_minute, tzinfo=dt.UTC
                        )
                        if time >= begin:
                            return time
    return None


def _values(field: str, low: int, high: int) -> set[int]:
    """Return the numbers that a field of numbers, ranges and steps stands for."""
    found: set[int] = set()
    for part in field.split(","):
        text, _, step = part.partition("/")
        if text in ("*", "?"):
            first, last = low, high
        elif "-" in text:
            first, last = (_number(end, low, high) for end in text.split("-", 1))
        else:
            first = _number(text, low, high)
            last = high if step else first
        if step and int(step) < 1:
            raise ValueError(f"a step is at least 1, got {part}")
        # A range may go over the end: FRI-MON.
        size = high - low + 1
        reach = last if last >= first else last + size
        found |= {low + (number - low) % size for number in range(first, reach + 1, int(step or 1))}
    return found


def _number(text: str, low: int, high: int) -> int:
    number = _NAMES.get(text.upper())
    if number is None:
        number = int(text)
    if not low <= number <= high:
        raise ValueError(f"{text} is not between {low} and {high}")
    return number


def _days(day: str, weekday: str, year: int, month: int) -> set[int]:
    """Return the days of a month that either of the two fields stands for."""
    length = calendar.monthrange(year, month)[1]
    if weekday == "?":
        return _days_of_month(day, year, month, length)
    weekdays = {each: _weekday(year, month, each) for each in range(1, length + 1)}
    if "#" in weekday:
        name, _, count = weekday.partition("#")
        return {
            each
            for each, number in weekdays.items()
            if number == _number(name, 1, 7) and (each - 1) // 7 + 1 == int(count)
        }
    if weekday.upper().endswith("L") and weekday.upper() != "L":
        wanted = _number(weekday[:-1], 1, 7)
        return {each for each, number in weekdays.items() if number == wanted and each + 7 > length}
    numbers = {7} if weekday.upper() == "L" else _values(weekday, 1, 7)
    return {each for each, number in weekdays.items() if number in numbers}


def _days_of_month(day: str, year: int, month: int, length: int) -> set[int]:
    if day.upper() == "L":
        return {length}
    if day.upper().endswith("W"):
        wanted = length if day.upper() == "LW" else _number(day[:-1], 1, 31)
        working = [each for each in range(1, length + 1) if _weekday(year, month, each) not in (1, 7)]
        # The nearest working day of the same month; Saturday goes back, Sunday on.
        return {min(working, key=lambda each: abs(each - wanted))} if wanted <= length else set()
    return {each for each in _values(day, 1, 31) if each <= length}


def _weekday(year: int, month: int, day: int) -> int:
    """Return a day's number as EventBridge counts them: Sunday is 1."""
    return dt.date(year, month, day).isoweekday() % 7 + 1
