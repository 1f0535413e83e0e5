"Every operation on drawn calls: first and second order against PyTorch and central differences."
import warnings
import pytest
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

def test_every_operation_has_cases():
    "The names that torch finds on a Var, but for synonyms and what has no gradient."
    from mlfound.autograd import Op, Var, torch_functions
    named = {n for n,f in (vars(Var) | torch_functions).items() if isinstance(getattr(f, 'op', None), Op) and f.__name__==n}
    assert not named-{*CASES}, f'no cases for {sorted(named-{*CASES})}; add them to tests/cases.py'
