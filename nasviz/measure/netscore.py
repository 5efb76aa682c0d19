"""NetScore (Wong 2018, arXiv:1806.05512), and the NetScore+ of this project's runs."""

from math import inf, log10


def netscore(
    accuracy: float, parameters: float, macs: float, *, alpha: float = 2.0, beta: float = 0.5, gamma: float = 0.5
) -> float:
    """Ω = 20 · log10(a^α / (p^β · m^γ)): accuracy against size and computation, in decibels.

    Parameters
    ----------
    accuracy : float
        A fraction in [0, 1]; a is the same in percent.
    parameters : float
        Number of parameters; p is the same in millions.
    macs : float
        Multiply-accumulates of one input; m is the same in billions.
    alpha, beta, gamma : float
        How much each counts; Wong's values by default.

    Returns
    -------
    float
        −∞ for an accuracy of 0.

    Raises
    ------
    ValueError
        If the accuracy is no fraction, or a count is not positive.

    Examples
    --------
    >>> netscore(1.0, 1e6, 1e9)
    80.0
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy={accuracy!r}: it is a fraction in [0, 1]; divide percents by 100.")
    for name, count in (("parameters", parameters), ("macs", macs)):
        if not 0 < count < inf:
            raise ValueError(f"{name}={count!r}: NetScore divides by it, so it must be positive and finite.")
    if accuracy == 0:
        return -inf
    # A sum of logarithms: the powers themselves could overflow.
    return 20 * (alpha * log10(100 * accuracy) - beta * log10(parameters / 1e6) - gamma * log10(macs / 1e9))


def netscore_plus(
    performance: float | None,
    parameters: float,
    macs: float,
    *,
    alpha: float = 2.0,
    beta: float = 0.5,
    gamma: float = 0.5,
) -> float | None:
    """NetScore of a run's primary metric, on the test set. GenSynth's own NetScore+ is unpublished; this is ours.

    The parameters are those of `netscore`, with the primary metric for the accuracy. The result is None where the
    score has no value: no performance was measured, it is no fraction above 0, or the network has no parameters or
    no multiply-accumulates.
    """
    if performance is None or not 0 < performance <= 1 or not 0 < parameters < inf or not 0 < macs < inf:
        return None
    return netscore(performance, parameters, macs, alpha=alpha, beta=beta, gamma=gamma)
