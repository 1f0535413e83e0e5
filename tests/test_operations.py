"Every operation on drawn calls: first and second order against PyTorch and central differences."
import warnings
import pytest
import cases_losses, cases_pointwise, cases_reductions, cases_shapes # noqa: F401
from cases import CASES
from hypothesis import given, strategies as st
from oracle import check, drawn

@pytest.mark.parametrize('name', sorted(CASES))
def test_operation(name):
    @drawn()
    @given(CASES[name], st.integers(0, 1000))
    def run(case, seed): check(case, seed)
    with warnings.catch_warnings(): # torch's, on the variance of nothing
        warnings.simplefilter('ignore')
        run()
