"""What the fake runs are made of."""


def triangle(number: int) -> int:
    """The sum of the numbers up to this one, n (n + 1) / 2."""
    return number * (number + 1) // 2
