"""Let the gradient checkers that there are judge the same faults and the same sound functions;
write benchmarks/results_doctor.json and benchmarks/DOCTOR.md.

Faults: tests/doctor_faults.py and doctor_held_out.py, _reports.py, _strangers.py; every mutant of
chapter 08 as a `torch.autograd.Function`. JAX and HIPS autograd take part where they are installed
(`pip install jax autograd`); they see each thing as a function of NumPy arrays with a rule, as its
author would hand it to them.
"""

import sys
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

from harness import Benchmark, named

sys.path.insert(0, str(Path(__file__).resolve().parents[1]/'tests'))
HALVES = {'while it was written': 'doctor_faults doctor_sound',
          'held out': 'doctor_held_out doctor_held_out',
          'after reports': 'doctor_reports doctor_reports',
          'with twins': 'doctor_strangers doctor_strangers'}
NO_SECOND = 'once_differentiable', 'not implemented', 'not differentiable', 'does not require grad'


def of(half, what):
    "The faults, or the sound functions, of one half."
    import importlib
    name = HALVES[half].split()[what == 'SOUND']
    return getattr(importlib.import_module(name), what)


def as_torch(thing):
    "A function of tensors that PyTorch differentiates, and its arguments as float64 tensors."
    import torch
    if isinstance(thing, torch.nn.Module):
        return thing.double()
    if isinstance(thing, type):
        return thing.apply
    return by_rule(*thing) if isinstance(thing, tuple) else thing


def by_rule(f, vjp):
    "A pair of functions as its author would wrap it."
    import numpy as np
    import torch
    from torch.autograd import Function
    from torch.autograd.function import once_differentiable

    def given(ctx): return [t if t is not None else a for t, a in zip(ctx.tensors, ctx.others)]

    class Rule(Function):
        @staticmethod
        def forward(ctx, numpy, *args):
            ctx.numpy = numpy
            ctx.others = [None if isinstance(a, torch.Tensor) else a for a in args]
            ctx.tensors = [a if isinstance(a, torch.Tensor) else None for a in args]
            ctx.save_for_backward(*(a for a in ctx.tensors if a is not None))
            out = f(*(a.numpy() if numpy else a for a in args))
            return torch.as_tensor(np.asarray(out)) if numpy else out

        @staticmethod
        def backward(ctx, g):
            saved = iter(ctx.saved_tensors)
            args = [a if t is None else next(saved) for a, t in zip(ctx.others, ctx.tensors)]
            got = vjp(*(t.numpy() for t in (g, *args))) if ctx.numpy else vjp(g, *args)
            got = got if isinstance(got, (tuple, list)) else (got,)
            got = [torch.as_tensor(t) if ctx.numpy else t for t in got]
            return None, *got, *[None]*(len(args)-len(got))

    class OnceOnly(Rule):
        backward = staticmethod(once_differentiable(Rule.backward))

    def run(*args, **kwargs):
        numpy = any(isinstance(a, np.ndarray) for a in run.given)
        return (OnceOnly if numpy else Rule).apply(numpy, *args, **kwargs)
    run.given = ()
    return run


def leaves(args):
    "The arguments, floating-point ones as float64 tensors that require grad."
    from mlfound.subject import refill, tensor_of, walk
    new = [tensor_of(t).double().requires_grad_() for a in args for _, t in walk(a, '')]
    return [*refill(tuple(args), iter(new))]


# checkers: each says whether it objects ---------------------------------------------------------

def gradcheck(thing, args, kwargs, fast=False):
    "PyTorch's, with gradgradcheck where the thing does not refuse second order."
    import torch
    from torch.autograd import gradcheck as first, gradgradcheck as second
    f, xs = as_torch(thing), leaves(args)
    if hasattr(f, 'given'):
        f.given = args
    inputs = [x for x in torch.utils._pytree.tree_leaves(xs) if torch.is_tensor(x)]
    spec = torch.utils._pytree.tree_structure(xs)
    plain = torch.utils._pytree.tree_leaves(xs)
    params = [p for p in getattr(thing, 'parameters', list)()]

    def call(*tensors):
        new = iter(tensors)
        filled = [next(new) if torch.is_tensor(t) else t for t in plain]
        out = f(*torch.utils._pytree.tree_unflatten(filled, spec), **kwargs)
        return tuple(o for o in torch.utils._pytree.tree_leaves(out) if o.is_floating_point())
    try:
        if not first(call, inputs, fast_mode=fast):
            return True
        if params and not first(lambda *ps: with_parameters(thing, ps, xs, kwargs), params,
                                fast_mode=fast):
            return True
    except Exception:
        return True
    try:
        return not second(call, inputs, fast_mode=fast)
    except Exception as e:
        return not any(words in str(e) for words in NO_SECOND)


def with_parameters(module, params, args, kwargs):
    import torch
    named = dict(zip((n for n, _ in module.named_parameters()), params))
    out = torch.func.functional_call(module, named, tuple(args), kwargs)
    return tuple(o for o in torch.utils._pytree.tree_leaves(out) if o.is_floating_point())


def opcheck(thing, args, kwargs):
    "PyTorch's check of registrations, for pairs of functions of tensors with one result."
    import torch
    if not applies(thing, args):
        return None
    f, vjp = thing
    opcheck.count += 1
    schema = ', '.join(f'Tensor x{i}' for i in range(len(args)))
    op = torch.library.custom_op(f'doctor::f{opcheck.count}', lambda *xs: f(*xs).clone(),
                                 mutates_args=(), schema=f'({schema}) -> Tensor')
    op.register_fake(lambda *xs: torch.empty_like(f(*xs)))

    def setup(ctx, inputs, output): ctx.save_for_backward(*inputs)

    def backward(ctx, g):
        got = vjp(g, *ctx.saved_tensors)
        got = got if isinstance(got, (tuple, list)) else (got,)
        return (*got, *[None]*(len(args)-len(got)))
    op.register_autograd(backward, setup_context=setup)
    try:
        torch.library.opcheck(op, tuple(leaves(args)))
        return False
    except Exception:
        return True


opcheck.count = 0


def applies(thing, args):
    import torch
    if not isinstance(thing, tuple) or not all(isinstance(a, torch.Tensor) for a in args):
        return False
    return isinstance(thing[0](*args), torch.Tensor)


def numbers(thing, args, kwargs):
    "`f, vjp` of NumPy arrays, for those of the arguments that are float64 tensors."
    import numpy as np
    import torch
    f, xs = as_torch(thing), leaves(args)
    if hasattr(f, 'given'):
        f.given = args
    plain, spec = torch.utils._pytree.tree_flatten(xs)
    at = [i for i, t in enumerate(plain) if torch.is_tensor(t) and t.is_floating_point()]

    def run(arrays):
        new = list(plain)
        for i, a in zip(at, arrays):
            new[i] = torch.from_numpy(np.array(a)).requires_grad_()
        out = f(*torch.utils._pytree.tree_unflatten(new, spec), **kwargs)
        outs = [o for o in torch.utils._pytree.tree_leaves(out) if o.is_floating_point()]
        return [new[i] for i in at], torch.cat([o.reshape(-1) for o in outs])

    def forward(*arrays): return run(arrays)[1].detach().numpy()

    def backward(g, *arrays):
        leaves, out = run(arrays)
        got = torch.autograd.grad(out, leaves, torch.from_numpy(np.array(g)), allow_unused=True)
        return [np.zeros(t.shape) if d is None else d.detach().numpy() for d, t in zip(got, leaves)]
    return forward, backward, [plain[i].detach().numpy() for i in at]


def hips(thing, args, kwargs):
    "HIPS autograd's check_grads, order 1: what it is given cannot be differentiated again."
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads
    try:
        forward, backward, arrays = numbers(thing, args, kwargs)
        f = primitive(forward)
        defvjp(f, *((lambda ans, *xs, i=i: lambda g: backward(g, *xs)[i])
                    for i in range(len(arrays))))
        check_grads(f, modes=['rev'], order=1)(*arrays)
        return False
    except Exception:
        return True


def jax_checks(thing, args, kwargs):
    "JAX's check_grads, order 1, reverse mode."
    import jax
    import numpy as np
    from jax.test_util import check_grads
    jax.config.update('jax_enable_x64', True)
    try:
        forward, backward, arrays = numbers(thing, args, kwargs)
        size = forward(*arrays).shape

        @jax.custom_vjp
        def f(*xs):
            return jax.pure_callback(forward, jax.ShapeDtypeStruct(size, np.float64), *xs)

        def fwd(*xs): return f(*xs), xs

        def bwd(xs, g):
            shapes = tuple(jax.ShapeDtypeStruct(a.shape, np.float64) for a in arrays)
            return jax.pure_callback(lambda g, *xs: tuple(backward(g, *xs)), shapes, g, *xs)
        f.defvjp(fwd, bwd)
        check_grads(f, tuple(arrays), order=1, modes=['rev'])
        return False
    except Exception:
        return True


def doctor(thing, args, kwargs):
    "This library's."
    from mlfound.doctor import Settings, examine
    doctor.report = examine(thing, *args, settings=Settings(progress=False, shrink=False), **kwargs)
    return not doctor.report.ok


def checkers():
    found = {'mlfound examine': doctor, 'gradcheck, gradgradcheck': gradcheck,
             'the same, fast_mode': lambda *a: gradcheck(*a, fast=True), 'opcheck': opcheck}
    if find_spec('jax'):
        found['JAX check_grads'] = jax_checks
    if find_spec('autograd'):
        found['HIPS check_grads'] = hips
    return found


# parts -------------------------------------------------------------------------------------------

def some(table, args): return dict([*table.items()][:2]) if args.quick else table


def judged(rows):
    "What every checker says of each row `name → thing, args, kwargs`, and how long it takes."
    import torch
    found = {}
    for checker, objects in checkers().items():
        says, begin = {}, time.process_time()
        for name, row in rows.items():
            torch.manual_seed(0)
            says[name] = objects(*row[:3]), getattr(doctor, 'report', None)
        asked = [n for n, (s, _) in says.items() if s is not None]
        found[checker] = dict(of=len(asked), objects=[n for n in asked if says[n][0]],
                              seconds=(time.process_time()-begin)/max(1, len(asked)))
        if checker == 'mlfound examine':
            found[checker]['names'] = {n: r.name for n, (s, r) in says.items() if s}
    return found


def faults(args):
    "Caught, and named rightly."
    import re
    warnings.simplefilter('ignore')
    found = {}
    for half in HALVES:
        table = some(of(half, 'FAULTS'), args)
        rows = {n: (thing, given, {}) for n, (thing, given, _) in table.items()}
        found[half] = judged(rows)
        names = found[half]['mlfound examine'].pop('names')
        right = [n for n, (_, _, words) in table.items() if re.search(words, names.get(n, ''))]
        found[half]['mlfound examine']['named'] = len(right)
    return found


def sound(args):
    "False alarms."
    warnings.simplefilter('ignore')
    found = {half: judged(some(of(half, 'SOUND'), args)) for half in HALVES}
    for half in found.values():
        half['mlfound examine'].pop('names')
    return found


def filled(rule, args):
    "A function that puts tensors in the places of a rule's differentiable arguments."
    from mlfound.verify import copies
    at = rule.of(args)

    def fill(tensors):
        new = iter(tensors)
        return [next(new).detach() if i in at else a for i, a in enumerate(copies(args))]
    return fill, [args[i] for i in at]


def of_numbers(f, *inputs):
    "`f` with the tape recording, of numbers without PyTorch's history."
    import torch
    with torch.enable_grad():
        return f(*(t.detach().clone() for t in inputs))


def as_function(rule, args):
    "A rule of the library as a `torch.autograd.Function`, and its arguments."
    from torch.autograd import Function
    fill, given = filled(rule, args)

    class Again(Function):
        @staticmethod
        def forward(ctx, g, *xs):
            ctx.save_for_backward(g, *xs)
            found = of_numbers(lambda g, *xs: rule.first(g, *fill(xs)), g, *xs)
            return tuple(t.clone() for t in found)

        @staticmethod
        def backward(ctx, *ds):
            if rule.second is None:
                raise NotImplementedError('a second derivative of layers is not implemented')
            n = len(ds)
            *found, g = of_numbers(lambda *t: rule.second(t[n], [*t[:n]], *fill(t[n+1:])),
                                   *ds, *ctx.saved_tensors)
            return g, *found

    class Rule(Function):
        @staticmethod
        def forward(ctx, *xs):
            ctx.save_for_backward(*xs)
            return of_numbers(lambda *xs: rule.f(*fill(xs)), *xs).clone()

        @staticmethod
        def backward(ctx, g): return Again.apply(g, *ctx.saved_tensors)

    return Rule, given


def as_pair(rule, args):
    "A rule as two functions, and its arguments."
    fill, given = filled(rule, args)

    def f(*xs): return of_numbers(lambda *xs: rule.f(*fill(xs)), *xs)
    def vjp(g, *xs): return tuple(of_numbers(lambda g, *xs: rule.first(g, *fill(xs)), g, *xs))
    return (f, vjp), given


def model(rule, args):
    "What a rule should be like: its function, differentiated by PyTorch."
    import torch
    from mlfound.verify import copies
    at = rule.of(args)
    if rule.trial.name in ('relu', 'relu_vjp', 'ReLU'): # chapter 01: clamp_min, 1 at 0
        return torch.relu
    if rule.trial.name=='attention_vjp': # whose mutants change the function with its rule
        return lambda *xs: attends(*xs, *copies(args)[3:])

    def f(*xs):
        new = iter(xs)
        return rule.f(*(next(new) if i in at else a for i, a in enumerate(copies(args))))
    return f


def attends(q, k, v, mask=None, causal=False, scale=None):
    "PyTorch's attention, called like ours."
    import torch
    if causal:
        seen = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
        mask = seen if mask is None else seen & mask
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, mask, scale=scale)


WAYS = 'alone', 'as a pair', 'told its model'


def faults_of(rule, args, way, stop):
    "The faults of a rule with these arguments, each as something that can be compared."
    from mlfound.doctor import Settings, examine
    trials = {'alone': ['every entry', 'second order', 'corners and ties'],
              'as a pair': ['every entry'], 'told its model': ['like its model']}[way]
    try:
        thing, given = (as_pair if way == 'as a pair' else as_function)(rule, args)
        like = model(rule, args) if way == 'told its model' else None
        report = examine(thing, *given, settings=Settings(trials=trials, stop=stop, like=like,
                                                          progress=False, shrink=False))
        return {(f.trial, f.what.split(' is not that')[0] if like else '') for f in report.faults}
    except Exception as e: # the mistake is in what forward uses, too
        return {('raises', type(e).__name__)}


def tries(rule, way):
    "The calls on which a rule is tried; told its model, at the corners of the catalogue, too."
    return [*rule.calls, *(k.args for k in rule.trial.kinks if way == WAYS[2])]


def size(rule): return sum(getattr(a, 'numel', int)() for a in rule.calls[0])


class Judge:
    "Is a fault of a mutant another than those that its rule, as it is, is charged with?"
    def __init__(self):
        self.charges, self.times, self.ways = {}, [], ()

    def learn(self, rules, ways):
        "While all is right."
        for rule in rules:
            for way in ways:
                if (rule.trial, way) not in self.charges:
                    found = [faults_of(rule, call, way, False) for call in tries(rule, way)]
                    self.charges[rule.trial, way] = found

    def caught(self, rule, way):
        both = zip(tries(rule, way), self.charges[rule.trial, way])
        return any(faults_of(rule, call, way, not was) - was for call, was in both)

    def __call__(self, rule):
        begin = time.process_time()
        way = next((way for way in self.ways if self.caught(rule, way)), None)
        self.times.append(time.process_time()-begin)
        return [way] if way else []

    def run(self, names, choose, ways):
        "The mutants, each before those of its users that `choose(k, users)` names."
        import mlfound.mutants
        from mlfound.verify import rule_of
        broken, self.ways = mlfound.mutants.broken_rules, ways

        def chosen(trials):
            for k, (users, *rest) in enumerate(broken(trials)):
                if some := choose(k, sorted(map(rule_of, users), key=size)):
                    self.learn(some, ways)
                    yield [rule.trial for rule in some], *rest
        mlfound.mutants.broken_rules = chosen
        try:
            return mlfound.mutants.mutants(*names, judge=self)
        finally:
            mlfound.mutants.broken_rules = broken


def mutants(args, part=lambda k: True):
    """The mutants of all rules that are no equals of their originals, each to its first fault:
    first before the smallest rule that uses what is broken, then before all, in all ways."""
    from mlfound.catalogue import find
    import mlfound.mutants
    mlfound.mutants.case = lambda *_: None # what its own judges would compute first
    names, judge = RULES if args.quick else [], Judge()
    first = judge.run(names, lambda k, users: users[:part(k)], WAYS[:1])
    left = [k for k, m in enumerate(first) if not m.rejected]
    at = iter(range(len(first)))
    again = judge.run(names, lambda k, users: users*(part(k) and next(at) in left), WAYS)
    table = [m for m in first if m.rejected] + [m for m in again if not m.proof]
    best = [min((by[0] for by in m.verdicts.values() if by), key=WAYS.index, default='missed')
            for m in table]
    by = {way: [f'{m.part}: {m.mistake}: {m.change}' for m, b in zip(table, best) if b == way]
          for way in (*WAYS, 'missed')}
    charged = {way: sorted({t.name for (t, w), found in judge.charges.items()
                            if w == way and any(found)}) for way in WAYS}
    return dict(rules=len(find(*names)), of=len(table), caught=len(by.pop('alone')),
                **by, charged=charged, seconds=sum(judge.times)/len(judge.times))


class Other(Judge):
    "Does another checker object to a mutant, at a call at which it does not object to its rule?"
    def __init__(self, objects):
        super().__init__()
        self.objects = objects

    def asked(self, rule, call):
        try:
            return bool(self.objects(*as_function(rule, call), {}))
        except Exception: # the mistake is in what forward uses, too
            return True

    def learn(self, rules, ways):
        for rule in rules:
            if rule.trial not in self.charges:
                self.charges[rule.trial] = [self.asked(rule, call) for call in rule.calls]

    def caught(self, rule, way):
        both = zip(rule.calls, self.charges[rule.trial])
        return any(not was and self.asked(rule, call) for call, was in both)


def mutants_elsewhere(args):
    "The same mutants before the other checkers, each before all rules that use what is broken."
    import mlfound.mutants
    mlfound.mutants.case = lambda *_: None
    names, found = RULES if args.quick else [], {}
    others = {n: f for n, f in checkers().items() if n not in (OURS, 'opcheck')}
    for name, objects in others.items():
        judge = Other(objects)
        table = judge.run(names, lambda k, users: users, [name])
        table = [m for m in table if m.rejected or not m.proof]
        found[name] = dict(of=len(table), caught=sum(bool(m.rejected) for m in table),
                           charged=sorted(t.name for t, was in judge.charges.items() if any(was)),
                           seconds=sum(judge.times)/len(judge.times))
    return found


RULES = ['relu'] # of a quick try


def share(row, key='objects'):
    "So many of so many, or nothing where there was nothing to judge."
    if not row or not row['of']:
        return '—'
    n = row[key] if isinstance(row[key], int) else len(row[key])
    return f"{n} of {row['of']}"


def row(name, found):
    "A checker's line of the table."
    caught = [found['faults'][h].get(name) for h in HALVES]
    alarms = [found['sound'][h].get(name) for h in HALVES]
    seconds = f"{caught[0]['seconds']:.2f}" if caught[0]['of'] else '—'
    return f"| {name} | {' | '.join(map(share, caught + alarms))} | {seconds} |"


def page(found):
    "The page's text."
    head = ['| | faults caught | held out | after reports | with twins | false alarms | held out | '
            'after reports | with twins | seconds |', '|---|---|---|---|---|---|---|---|---|---|']
    table = '\n'.join([*head, *(row(name, found) for name in found['faults'][[*HALVES][0]])])
    first, speed = found['first run'], found['speed']
    ours = ', '.join(share(found['faults'][h][OURS], 'named') for h in HALVES)
    return '\n'.join(['<!-- generated by benchmarks/doctor.py -->', '# Gradient checkers', '',
                      f"{named(found['machine'])} `python benchmarks/doctor.py` takes the figures "
                      'on your machine.', '', '## Side by side', '', table, '',
                      READ.format(ours=ours), '',
                      *of_mutants(found.get('mutants'), found['mutants elsewhere']),
                      '## Held out', '', HELD_OUT.format(**first), '', '## Time', '',
                      SPEED, '', '| | entries | seconds |', '|---|---|---|',
                      *(f"| {n} | {s['entries']:,} | {s['seconds']:.2f} |"
                        for n, s in speed.items()), ''])


def of_mutants(m, others):
    "What became of the mutants, where they were tried: that takes half an hour."
    if not m:
        return []
    counts = dict(pair=len(m['as a pair']), told=len(m['told its model']), left=len(m['missed']))
    charged = m['charged']
    said = MUTANTS.format(alone=listed(charged['alone']), model=listed(charged[WAYS[2]]),
                          **counts, **m)
    rows = [f"| {name} | {share(row, 'caught')} | {row['seconds']:.3f} |"
            for name, row in ({OURS: m} | others).items()]
    return ['## Mutants', '', said, '', *(f'- {way}: `{what}`' for way in (*WAYS[1:], 'missed')
                                          for what in m[way]), '',
            ELSEWHERE, '', '| | mutants caught | seconds |', '|---|---|---|', *rows, '']


def listed(names): return ', '.join(f'`{n}`' for n in names) or 'none'


READ = (
    '*Caught*: the checker objects. *False alarms*: objections to sound functions and modules. '
    '*Seconds*: of processor time for one faulty function. Of what this library catches, the first '
    'explanation is the right one for {ours}; the others give none. `gradcheck` stands for '
    '`gradcheck` and `gradgradcheck` together; an error that refuses second order by name is no '
    'objection, but `gradgradcheck` does not meet that of `once_differentiable`, and objects to '
    'it. `opcheck` judges registrations and takes part where a pair of functions can be registered '
    'as an operation. JAX and HIPS autograd are asked for first order.'
)
MUTANTS = (
    'The rules of this library, {rules} of them, broken in every way on the list of chapter 08, as '
    'functions of `torch.autograd`: {of} mutants that are no equals of their originals. {caught} '
    'are caught with nothing but the calls of the catalogue; {pair} only as a pair of functions, '
    'since PyTorch itself sums a gradient of a `Function` that is too large; {told} choose another '
    'of the fair answers at a corner, or are another function with its own right gradient, and are '
    'caught where `like=` says what the rule should be like; {left} missed. A fault counts only if '
    'the healthy rule is not charged with it. Charged are: {alone} (`clamp` follows PyTorch in '
    'giving a gradient to neither of two equal bounds that both move the result), and beside a '
    'model of PyTorch: {model} (the second derivative of PyTorch\'s power leaves out $1/x$ where '
    'the exponent is 0, that of its softplus is 0 at the threshold). What is missed in the norm is '
    'right at first order, and at second order differs only at 0, where a norm has no second '
    'derivative and PyTorch gives `nan`.'
)
ELSEWHERE = (
    'The same mutants before the other checkers, with the calls of the catalogue, each before all '
    'rules that use what is broken. An objection counts only at a call at which the healthy rule '
    'meets with none; of this library only what needs neither a pair nor a model is counted here. '
    '*Seconds*: of processor time for one mutant of one rule.'
)
HELD_OUT = (
    'All but the first column is what was written after the examination was done. The first '
    'run on *held out* caught {caught} of {faults} faults and named {named}; it objected to '
    '{objected} of {sound} sound functions and modules: two were faults of PyTorch (`torch.kron`, '
    '`torch.linalg.det`), one a fault of a rule that was thought to be sound, three error messages '
    'at empty arguments, which now count as refusals, and two false alarms. The first run on '
    '*after reports* caught {later[caught]} of {later[faults]} and named {later[named]}; it '
    'objected to {later[objected]} of {later[sound]}: two were faults of PyTorch '
    '(`torch.logcumsumexp`, `weight_norm`), two of things thought to be sound (a rule that does '
    'not undo broadcasting, an attention that fails under autocast), two false alarms (a rule that '
    'gives one gradient of two, a QR '
    'decomposition of a singular matrix). *With twins* are faults after reports, each beside the '
    'same thing without its fault: the first run caught {twins[caught]} of {twins[faults]} and '
    'named {twins[named]}; it objected to {twins[objected]} of {twins[sound]}: five of things '
    'thought to be sound (two that take an index from the end at size 1, a filter and a linear '
    'layer that fail for other sizes and under autocast, a rotation that gives its angle no '
    'gradient), one false alarm (the padding of an embedding). What was wrong was mended, what is '
    'a fault of PyTorch set apart, and explanations were added. The table shows the run after that.'
)
SPEED = (
    'Of processor time, for one examination with all trials of something sound, on one thread. '
    'From 1,001 entries on, directions are drawn.'
)
OURS = 'mlfound examine'


def first_run(args):
    "What the first runs on the held-out sets gave, before anything was mended."
    return dict(faults=37, caught=37, named=32, sound=56, objected=8,
                later=dict(faults=19, caught=19, named=12, sound=22, objected=6),
                twins=dict(faults=25, caught=22, named=11, sound=27, objected=6))


def speed(args):
    "Processor time of an examination, by the size of the arguments."
    import torch
    from torch import nn
    from doctor_sound import drawn
    from mlfound.doctor import Settings, examine
    F = nn.functional
    table = {'tanh': (torch.tanh, (drawn(20, 50),)), 'softmax': (F.softmax, (drawn(20, 50), 1)),
             'linear': (F.linear, (drawn(25, 14), drawn(36, 14), drawn(36))),
             'conv2d': (F.conv2d, (drawn(2, 3, 11, 10), drawn(10, 3, 3, 3), drawn(10))),
             'LSTMCell': (nn.LSTMCell(10, 10), (drawn(10, 10),)),
             'tanh, in directions': (torch.tanh, (drawn(200, 50),))}
    examine(torch.exp, drawn(2), settings=Settings(progress=False)) # what is loaded only once
    found = {}
    for name, (thing, given) in some(table, args).items():
        tensors = [t for t in (*given, *getattr(thing, 'parameters', list)()) if torch.is_tensor(t)]
        begin = time.process_time()
        report = examine(thing, *given, settings=Settings(progress=False))
        found[name] = dict(entries=sum(t.numel() for t in tensors), ok=report.ok,
                           seconds=time.process_time()-begin)
    return found


benchmark = Benchmark(__file__, __doc__, {'faults': faults, 'sound': sound, 'mutants': mutants,
                                        'mutants elsewhere': mutants_elsewhere,
                                        'first run': first_run, 'speed': speed}, page,
                      rounds=1, threads=1,
                      once=('faults', 'sound', 'mutants', 'mutants elsewhere', 'first run',
                            'speed'))

if __name__ == '__main__':
    benchmark.main()
