"Every operation on drawn calls: first and second order against PyTorch and central differences."
import inspect, warnings
import pytest
import cases_attention, cases_conv, cases_losses, cases_pointwise, cases_reductions, cases_shapes # noqa: F401
from cases import CASES
from hypothesis import given, strategies as st
from mlfound.autograd import Var, torch_functions
from mlfound.catalogue import without_gradient
from oracle import check, drawn

@pytest.mark.parametrize('name', sorted(CASES))
def test_operation(name):
    @drawn()
    @given(CASES[name], st.integers(0, 1000))
    def run(case, seed): check(case, seed)
    with warnings.catch_warnings(): # torch's, on the variance of nothing
        warnings.simplefilter('ignore')
        run()

ELSEWHERE = {'<lambda>', '_to', '_torch_linear'} # tried by the cases of where, to and linear
def test_every_function_has_cases():
    "What is a method of `Var` or has a torch name: but for second names and what has no gradient."
    named = {f'Var.{n}': f for n,f in vars(Var).items() if inspect.isfunction(f) and n[:1] != '_'}
    named |= {f'torch.{n}': f for n,f in torch_functions.items()}
    missing = {f.__name__ for n,f in named.items() if n not in without_gradient} - {*CASES}
    missing -= ELSEWHERE
    assert not missing, f'no cases for {sorted(missing)}; add them to tests/cases_*.py'
