"""The foundations of neural networks, every gradient by hand and every gradient checked.

The names that people use most are reachable from here; each is loaded when it is first asked for, with what it needs."""

__version__ = "0.1.0"

names = dict( # the module in which each name is at home
    data='Split Splits mnist show_images',
    files='DataError',
    forward='Params init_params lin mlp mse',
    backward='check_vjp forward_and_backward lin_vjp mse_vjp relative_error relu_vjp',
    module='Linear MSELoss Module ReLU Sequential',
    autograd='Var grad linear mse_loss no_grad op relu',
    derivatives='hessian hvp jacobian jvp',
    scores='accuracy log_softmax softmax',
    optimizers='Adam SGD one_cycle',
    forms='init_he network',
    training='CrossEntropyLoss cross_entropy minibatches',
    fit='History load save', # `mlfound.fit` itself is a module that can be called
    scale='find_device precision',
    pictures='read_digit',
    drawing='draw_tape step_through',
    playground='write_page',
    verify='certificate',
    doctor='assert_gradients diagnose examine',
)

def __getattr__(name):
    "Load the module that has this name, or is called so."
    from importlib import import_module
    from importlib.util import find_spec
    home = next((module for module, those in names.items() if name in those.split()), None)
    if home:
        return getattr(import_module(f'mlfound.{home}'), name)
    if not name.startswith('_') and find_spec(f'mlfound.{name}'):
        return import_module(f'mlfound.{name}')
    raise AttributeError(f'mlfound: has no {name!r}; dir(mlfound) lists what it has')

def __dir__():
    return sorted({*globals(), *names, *' '.join(names.values()).split()})
