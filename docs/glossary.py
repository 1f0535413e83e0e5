"""The words of the book: a page that leads each to the place where it is explained, and what else
readers call it, for the search.

A word's place is where a chapter first writes it emphasised, as a book does where it explains one;
without such a place, where it first occurs."""
import re
from functools import cache
from typing import NamedTuple

from book import cells, chapters, code_in_markdown, docname, label, relink, source

# Each word, and what somebody may look for who means it.
WORDS = {
    'accumulate': '',
    'accuracy': 'precision, score',
    'activation': 'nonlinearity',
    'Adam': 'AdamW',
    'adjoint': '',
    'automatic differentiation': 'autodiff, algorithmic differentiation, reverse mode',
    'backward pass': 'backpropagation, backprop, reverse-mode',
    'batch': '',
    'batch normalisation': 'batch norm, batchnorm, batch normalization',
    'bias': 'intercept, offset',
    'broadcasting': 'broadcast',
    'central difference': 'finite difference, numerical gradient, gradcheck',
    'certificate': '',
    'chain rule': '',
    'cross-entropy': 'negative log-likelihood, nll, logistic loss',
    'dead unit': 'dying relu',
    'derivative': 'differentiate, calculus',
    'dropout': '',
    'eigenvalue': 'eigenvector, spectrum',
    'embedding': 'lookup table',
    'epoch': '',
    'forward pass': 'inference, prediction',
    'gradient': 'grad, slope',
    'gradient descent': 'stochastic gradient descent, steepest descent',
    'graph': 'computational graph, dag',
    'Hessian': 'second derivative, curvature',
    'hidden unit': 'neuron, node',
    'Jacobian': '',
    'kernel': 'filter, receptive field',
    'kink': 'subgradient',
    'layer': '',
    'leaf': '',
    'learning rate': 'step size, eta, hyperparameter',
    'linear layer': 'dense, fully connected, perceptron',
    'logits': 'scores',
    'loss': 'cost function, cost, objective, error function, criterion',
    'matrix product': 'matmul, dot product',
    'mean squared error': 'mse, least squares, quadratic loss',
    'minibatch': 'mini-batch, stochastic',
    'momentum': 'heavy ball',
    'mutant': 'mutation testing',
    'one-hot': 'one hot, dummy variable',
    'operation': 'op, primitive',
    'optimizer': 'optimiser',
    'overfitting': 'memorization',
    'parameter': 'weights, coefficient',
    'partial derivative': '',
    'pre-activation': '',
    'record': '',
    'rectified linear unit': 'relu, ramp',
    'regularization': 'regularisation, l2 penalty',
    'rule': 'derivative rule',
    'schedule': 'annealing, one-cycle',
    'shape': 'size, dimensions',
    'softmax': 'probabilities, argmax',
    'standard deviation': 'std',
    'standard normal distribution': 'gaussian, randn',
    'stopping early': 'early stopping',
    'sweep': '',
    'tape': 'autograd, wengert',
    'tensor': 'array, ndarray',
    'test set': 'holdout test',
    'token': 'vocabulary',
    'training set': 'train split, training data',
    'upstream gradient': 'cotangent, delta',
    'unbiased': 'estimator',
    'validation set': 'hold-out, held out, development set',
    'variance': '',
    'vector–Jacobian product': 'vjp, pullback',
    'warm-up': 'warmup',
    'weight': 'synapse',
    'weight decay': 'ridge',
}

# What readers look for and no single word stands for.
PHRASES = {'chain rule': 'slopes multiply', 'vanishing gradient': 'dead',
           'exploding gradient': 'nan', 'overfitting': 'by heart', 'overfit': 'by heart',
           'generalization': 'by heart', 'nearest centroid': 'nearest-mean'}

class Place(NamedTuple):
    "Where a word is explained."
    path:object # the notebook
    cell:int    # which of its cells
    at:int      # where in the cell's text
    said:str    # the sentence there, where it explains the word

def anchor(word): return 'word-' + re.sub(r'\W+', '-', word.lower())

def hidden(text):
    "The text with blanks for what is no prose: code, formulas, titles, links' targets, tables."
    blank = lambda m: re.sub(r'[^\n]', ' ', m[0])
    text = code_in_markdown.sub(blank, text)
    no_prose = r'\$\$[^$]*\$\$|\$[^$\n]+\$|^#+ .*$|^\|.*$|\]\([^)\n]*\)|<[^>\n]+>'
    return re.sub(no_prose, blank, text, flags=re.M)

# Where a sentence begins; after a colon, unless what follows is the other half of one.
START = re.compile(r'\n\n|([.?!]|:(?=\S* [^a-z]))(\*\*|\))? |\n- |^> ')

def sentence(text, at):
    "The sentence around a place, without emphasis, and the one before it where it says 'that is'."
    starts = [0, *(m.end() for m in START.finditer(text[:at]))]
    ends = [m.end() for m in re.finditer(r'[.?!]\)?(?=\s)|\n\n', text) if m.end() > at]
    begin = starts.pop()
    if re.match(r'\(?(That|This(?! chapter)|It|it|Such|Mathematicians call such) ', text[begin:]):
        said = (k for k in reversed(starts) if re.search('[a-z]{3}', text[k:begin])) # in words
        before = next(said, begin)
        if '\n\n' not in text[before:begin]: begin = before
    found = text[begin:min(ends, default=len(text))].strip().replace('\n', ' ')
    return re.sub(r'(?<!\w)\*{1,2}|\*{1,2}(?!\w)', '', found)

def search(pattern, explained):
    "The first place in the book that a pattern finds in prose, or None."
    for path in chapters():
        for k, cell in enumerate(cells(path)):
            if cell['cell_type'] != 'markdown': continue
            if found := re.search(pattern, hidden(source(cell)), re.I):
                said = sentence(source(cell), found.start()) if explained else ''
                return Place(path, k, found.start(), said)

def patterns(word):
    "How a text writes a word that it explains, and how it writes it elsewhere."
    plural = re.escape(word) + '(s|es)?'
    return rf'(?<!\*)\*{{1,2}}{plural}\*{{1,2}}', rf'\b{plural}\b'

def place(word):
    "Where a word is explained: where it first is emphasised, or else where it first occurs."
    emphasised, plain = patterns(word)
    return search(emphasised, True) or search(plain, False)

@cache
def found():
    "Each word with its place; words that the book does not have are left out."
    places = {word: place(word) for word in WORDS}
    return {word: p for word, p in places.items() if p}

@cache
def places():
    "For each page and each of its cells, the words that are explained there, as (word, where)."
    by_page = {}
    for word, p in found().items():
        by_page.setdefault(docname(p.path), {}).setdefault(p.cell, []).append((word, p.at))
    return by_page

def mark(text, words):
    "Give these words in a text an anchor. Its links are mended already, so look for them again."
    for word, _ in words:
        finds = [re.search(pattern, hidden(text), re.I) for pattern in patterns(word)]
        at = finds[0] or finds[1]
        text = f'{text[:at.start()]}<span id="{anchor(word)}"></span>{text[at.start():]}'
    return text

def page():
    "The page of words: each with its place and the sentence there."
    parts = ['# Words', '', 'Each word leads to the place where the book explains it.', '']
    for word, p in sorted(found().items(), key=lambda item: item[0].lower()):
        link = f'<a href="{docname(p.path)}.html#{anchor(word)}">{word}</a>'
        said = relink(re.sub(r'\[([^]]+)\]\(#[^)]*\)', r'\1', p.said)).rstrip(',;:')
        if said.count('(') > said.count(')'): said = said.removeprefix('(')
        if said and not said.endswith(('.', '?', '!', ')')): said += '.'
        parts.append(f'- {link} ({label(p.path)})' + (said and f': {said[0].upper()}{said[1:]}'))
    return '\n'.join(parts) + '\n'

def synonyms():
    "What a reader may look for, and the word of the book."
    pairs = {other.strip(): word for word, others in WORDS.items() for other in others.split(',')}
    return {other: word for other, word in (pairs | PHRASES).items() if other}
