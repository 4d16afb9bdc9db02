r"""Transfer entropy: what the past of one series tells of the next value of another beyond that one's own past.

.. math:: T_{X \to Y} = I\big(Y_t;\; (X_{t - l})_{l \in L} \;\big|\; (Y_{t - l})_{l \in M}\big)

It is a conditional information of rows that are moments: the next value of y, the past values of x at lags L, and those
of y at lags M. Between jointly normal series it is half of Granger's causality.

Folds are stretches of time, with a gap that no value is shared across. Given the past, a next value is news, so the
terms of the figure depend on one another over about the lags alone, however slow the series are themselves; its error
is made of sums over blocks of moments.

Sources: Schreiber, "Measuring information transfer", 2000, arXiv nlin/0001042; Barnett et al., "Granger causality and
transfer entropy are equivalent for Gaussian variables", 2009, arXiv 0910.4514.
"""
