"""Every way in which a file of digits can be wrong that we could think of: each is refused in one
line, and none costs memory or runs anything. Thirty-six made-up digits go through every format."""
import gzip, io, os, pickle, struct, tracemalloc, warnings, zipfile, zlib
from pathlib import Path

import numpy as np
import pytest, torch
from mlfound.data import mnist
from mlfound.files import DataError, read_arrays

made = np.random.default_rng(0)
images = made.integers(0, 256, (36, 28, 28), np.uint8)
labels = np.arange(36, dtype=np.uint8) % 10
cuts = slice(25), slice(25, 30), slice(30, 36)
three = tuple((images[rows].reshape(-1, 784)/np.float32(256),
               labels[rows].astype(int)) for rows in cuts)
common = dict(x_train=images[:30], y_train=labels[:30], x_test=images[30:], y_test=labels[30:])
pickled = pickle.dumps(three, 2)

train_images, train_labels = 'train-images-idx3-ubyte', 'train-labels-idx1-ubyte'
test_images, test_labels = 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'
idx_files = {train_images: images[:30], train_labels: labels[:30], test_images: images[30:],
             test_labels: labels[30:]}

def idx_bytes(a): return struct.pack(f'>4B{a.ndim}I', 0, 0, 8, a.ndim, *a.shape) + a.tobytes()

def gzipped(raw): return gzip.compress(raw, mtime=0) # tests are named alike in every process

def npy_bytes(a):
    np.save(buffer := io.BytesIO(), a)
    return buffer.getvalue()

def npz_bytes(**arrays):
    np.savez_compressed(buffer := io.BytesIO(), **arrays)
    return buffer.getvalue()

def zip_bytes(extra=(), method=zipfile.ZIP_DEFLATED):
    "An archive of the usual four arrays, and `extra` members after them."
    with zipfile.ZipFile(buffer := io.BytesIO(), 'w', method) as z:
        for name, a in common.items(): z.writestr(f'{name}.npy', npy_bytes(a))
        for name, raw in extra: z.writestr(name, raw)
    return buffer.getvalue()

zipped = npz_bytes(**common)

def written(path, raw):
    path.write_bytes(raw)
    return path

def refused(path, *words, cause=None, by='mnist'):
    "The file is refused, with the four parts of a message, and `words` among them."
    with pytest.raises(DataError) as caught: mnist(path)
    e, said = caught.value, str(caught.value)
    for word in (f'{by}: {path}', ': found ', '; expected ', *words): assert word in said
    assert '\n' not in said and len(said) < 500 + len(str(path))
    assert all((e.found, e.expected, e.fix, e.file))
    if cause: assert isinstance(e.__cause__, cause)

def read_right(path):
    "The thirty-six digits come back, to the last bit."
    for part, (x, y) in zip(mnist(path), three, strict=True):
        assert part.x.dtype == torch.float32 and part.y.dtype == torch.int64
        assert np.array_equal(part.x, x) and np.array_equal(part.y, y)

def write_idx(folder, changes=(), spell=lambda name: name, wrap=lambda raw: raw):
    "The four IDX files in a new folder, but for `changes`: bytes by name, None for a missing file."
    folder.mkdir()
    for name, a in idx_files.items():
        raw = dict(changes).get(name, wrap(idx_bytes(a)))
        if raw is not None: (folder/spell(name)).write_bytes(raw)
    return folder

# --- any file

flipped = bytearray(gzipped(pickled))
flipped[-7] ^= 16 # one bit of the checksum

@pytest.mark.parametrize('name, raw, words, cause', [
    ('empty.npz', b'', 'an empty file', None),
    ('empty.pkl.gz', gzipped(b''), 'bytes that start', None),
    ('one.idx', idx_bytes(labels), 'one IDX file; expected a folder', None),
    ('text.txt', b'Here are the digits', "b'Here are the dig'", None),
    ('train.csv', b'label,pixel0,pixel1\n5,0,0\n', 'a table of labels and pixels; expected an .npz',
     None),
    ('bare.csv', b'5,0,0,0\n', 'numpy.savez as x_train, y_train', None),
    ('twice.pkl.gz', gzipped(gzipped(pickled)), r'\x1f\x8b', None),
    ('cut.pkl.gz', gzipped(pickled)[:-100], 'cut off', None),
    ('header.pkl.gz', b'\x1f\x8b', 'cut off', None),
    ('cut.pkl', pickled[:-9000], 'bytes announced', ValueError),
    ('end.pkl', pickled[:-1], 'no end of the pickle', None),
    ('cut.npz', zipped[:-100], 'cut off', None),
    ('checksum.pkl.gz', flipped, 'damage (Error -3 while decompressing data: incorrect data check)',
     zlib.error)])
def test_damage(tmp_path, name, raw, words,
                cause): refused(written(tmp_path/name, raw), words, cause=cause)

def test_absent(tmp_path): refused(tmp_path/'absent.npz', 'no such file')

def test_no_regular_file(tmp_path):
    "A pipe that nobody writes to, and a device without an end."
    if hasattr(os, 'mkfifo'):
        os.mkfifo(tmp_path/'pipe.npz')
        refused(tmp_path/'pipe.npz', 'a pipe or a device')
    if Path('/dev/zero').exists(): refused(Path('/dev/zero'), 'a pipe or a device')

@pytest.mark.parametrize('name', ['a\0b', '~nobody-here-of-that-name/x'])
def test_strange_names(name):
    with pytest.raises(DataError): mnist(name)

def test_no_download():
    with pytest.raises(DataError,
                       match='nothing is ever downloaded'): mnist('http://example.com/mnist.npz')

@pytest.mark.parametrize('door', ['read_bytes', 'stat'])
def test_no_permission(tmp_path, monkeypatch, door):
    path = written(tmp_path/'common.npz', zipped)
    def closed(*args, **kwargs): raise PermissionError(13, 'Permission denied')
    with monkeypatch.context() as m:
        m.setattr(Path, door, closed)
        refused(path, 'Permission denied', cause=OSError)

def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr('mlfound.files.MAX_BYTES', 100)
    refused(written(tmp_path/'common.npz', zipped), '1 to 100')

def test_home_folder(tmp_path, monkeypatch):
    for variable in ('HOME', 'USERPROFILE'): monkeypatch.setenv(variable, str(tmp_path))
    written(tmp_path/'common.npz', zipped)
    read_right('~/common.npz')

def test_who_asked(tmp_path):
    "An error starts with the function that was called."
    with pytest.raises(DataError, match='^read_arrays: '): read_arrays(tmp_path/'absent.npz')

# --- IDX

@pytest.mark.parametrize('end', ['', '.gz'])
@pytest.mark.parametrize('dot', ['-', '.'])
def test_idx_spellings(tmp_path, dot, end):
    wrap = gzipped if end else bytes
    read_right(write_idx(tmp_path/'idx', spell=lambda name: name.replace('-idx', dot+'idx')+end,
                         wrap=wrap))

def test_idx_in_capitals(tmp_path): read_right(write_idx(tmp_path/'idx', spell=str.upper))

@pytest.mark.parametrize('below', ['MNIST/raw', 'raw'])
def test_idx_of_torchvision(tmp_path, below):
    "The folder that torchvision was told to use; it makes two more."
    (tmp_path/below).parent.mkdir(exist_ok=True)
    write_idx(tmp_path/below)
    read_right(tmp_path)

def test_idx_in_folders_of_their_name(tmp_path):
    "As one well-known copy is packed: each file in a folder of its own, and once more beside it."
    folder = write_idx(tmp_path/'idx', spell=lambda name: name.replace('-idx', '.idx'))
    for name, a in idx_files.items():
        (folder/name).mkdir()
        (folder/name/name).write_bytes(idx_bytes(a))
    read_right(folder)
    for name in idx_files: (folder/name.replace('-idx', '.idx')).unlink()
    read_right(folder)
    for name in idx_files: (folder/name/name).unlink() # folders without anything
    with pytest.raises(DataError, match='found a folder; expected a regular file'): mnist(folder)

def test_idx_empty_beside_whole(tmp_path):
    "What a download leaves that was broken off."
    folder = write_idx(tmp_path/'idx', spell=lambda name: name+'.gz', wrap=gzipped)
    for name in idx_files: (folder/name).write_bytes(b'')
    read_right(folder)

def test_idx_no_pipe_is_opened(tmp_path):
    if not hasattr(os, 'mkfifo'): pytest.skip('this system has no named pipes')
    folder = write_idx(tmp_path/'idx', {test_labels: None})
    os.mkfifo(folder/test_labels)
    refused(folder, f'{test_labels}: found a pipe or a device')

def test_folder_of_tables(tmp_path):
    for name in ('train.csv', 'test.csv'): (tmp_path/name).write_text('label,pixel0\n')
    refused(tmp_path, 'there is test.csv, train.csv', 'numpy.savez as x_train')

def test_names_on_one_line(tmp_path):
    refused_name = tmp_path/'a\nb\x1b[2J.npz'
    with pytest.raises(DataError) as caught: mnist(refused_name)
    assert r'a\nb\x1b[2J.npz: found no such file' in str(caught.value)

def test_idx_missing(tmp_path):
    refused(write_idx(tmp_path/'idx', {test_labels: None}), f'a folder without {test_labels};',
            'there is t10k-images-idx3-ubyte')

@pytest.mark.parametrize('name, raw, words', [
    (train_images, b'', f'{train_images}: found an empty file'),
    (train_images, idx_bytes(labels), f'{train_images}: found bytes that start'),
    (train_labels, idx_bytes(labels[:30])+b'\0', f'{train_labels}: found 31 bytes of data'),
    (train_labels, idx_bytes(labels[:29]), '(29,) for 30 images'),
    (test_images, b'\0\0\x08\3'+b'\xff'*12, f'{test_images}: found 0 bytes'),
    (test_images, b'\0\0\x08\3'+b'\xff'*12, '4294967295 × 4294967295 × 4294967295 values'),
    (test_images, b'\0\0\x08\3\0\0', f'{test_images}: found bytes'),
    (test_images, idx_bytes(images[30:,:20,:20]), '(6, 20, 20)'),
    (test_labels, idx_bytes(labels[:0]), 'no examples'),
    (test_labels, idx_bytes(labels[30:]+10), 'labels of type uint8 from 10 to 15'),
    (test_labels, gzipped(idx_bytes(labels[30:]))[:-1],
     f'{test_labels}: found a gzip stream that is cut off')])
def test_idx_damage(tmp_path, name, raw, words):
    with pytest.raises(DataError, match='^mnist: .*: found .*; expected .*; ') as caught:
        mnist(write_idx(tmp_path/'idx', {name: raw}))
    assert words in str(caught.value)

def test_idx_folder_for_a_file(tmp_path):
    folder = write_idx(tmp_path/'idx', {test_labels: None})
    (folder/test_labels).mkdir()
    refused(folder, f'{test_labels}: found a folder')

# --- npz

@pytest.mark.parametrize('words, changes', [
    ('float64 pixels from nan', dict(x_test=images*np.nan)),
    ('int64 pixels from 0 to 255', dict(x_train=images.astype('i8'))),
    ('float32 pixels', dict(x_train=images.astype('f4'))),
    ('float64 pixels', dict(x_train=images/-256.)),
    ('labels of type float16', dict(y_train=labels.astype('f2'))),
    ('float16 pixels from 0 to 1', dict(x_train=(images/255).astype('f2'))),
    ('pixels that are all 0 or 1', dict(x_train=images//128)),
    ('pixels that are all 0 or 1', dict(x_test=images*0)),
    ("'|b1'", dict(y_test=labels > 3)),
    ("'|O'", dict(y_test=labels.astype(object))),
    ('plain NumPy array', dict(y_test=np.array([(1, 2.)], 'i4,f4'))),
    ("'<U3'", dict(y_test=labels.astype(str))),
    ('plain NumPy array', dict(y_test=np.zeros(3, 'V99'))),
    ('(36, 28, 28, 1)', dict(x_train=images[...,None])),
    ('labels of type float64', dict(y_test=labels*np.nan)),
    ('from -1 to 9', dict(y_train=np.where(labels, labels.astype(int), -1))),
    ('1.84467e+19', dict(y_train=labels.astype('u8')-1)),
    ('() for 36', dict(y_train=labels[0])),
    ('no examples', dict(x_test=images[:0], y_test=labels[:0])),
    ('5 training images', dict(x_train=images[:5], y_train=labels[:5]))])
def test_npz_arrays(tmp_path, words, changes):
    arrays = dict(x_train=images, y_train=labels, x_test=images, y_test=labels) | changes
    refused(written(tmp_path/'changed.npz', npz_bytes(**arrays)), words)

def test_npz_of_half_precision(tmp_path):
    "Floats of 16 bits hold 256ths exactly."
    arrays = common | dict(x_train=(images[:30]/256).astype('f2'))
    read_right(written(tmp_path/'half.npz', npz_bytes(**arrays)))

def test_npz_names(tmp_path): refused(written(tmp_path/'names.npz', npz_bytes(images=images)),
                                      'only []', 'x_train')

def twice_y_test():
    with warnings.catch_warnings():
        warnings.simplefilter('ignore') # zipfile's own, about the name that is there twice
        return zip_bytes([('y_test.npy', npy_bytes(labels[30:]))])

# the first line of the table of contents: flags at 8, checksum at 16, size at 24
entry = zipped.index(b'PK\1\2')
def changed_entry(at, new): return zipped[:entry+at] + new + zipped[entry+at+len(new):]

@pytest.mark.parametrize('name, raw, words, cause', [
    ('bytes after the end', zipped+b'!', 'cut off or unusual', None),
    ('a comment', zipped[:-2]+b'\1\0', 'cut off or unusual', None),
    ('a name twice', twice_y_test(), 'two members of one name', None),
    ('xz', zip_bytes(method=zipfile.ZIP_LZMA), 'an unusual way of packing', None),
    ('a large table', zip_bytes([(f'{k:050}', b'') for k in range(700)]), 'unusual', None),
    ('encrypted', changed_entry(8, b'\1'), 'encrypted', RuntimeError),
    ('checksum', changed_entry(16, b'....'), 'CRC', None),
    ('claims 2 GB', changed_entry(24, b'\xff\xff\xff\x7f'), 'members of more than', None),
    ('claims too little', changed_entry(24, b'\x99\0\0\0'), 'damage', None)])
def test_npz_archive(tmp_path, name, raw, words,
                     cause): refused(written(tmp_path/'a.npz', raw), words, cause=cause)

@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_npz_with_more_members(tmp_path, method):
    read_right(written(tmp_path/'plain.npz', zip_bytes([('README', 'more')], method)))

# --- pickle

def program(*parts): return b'\x80\4' + b''.join(parts) + b'.'

# a number, then pairs of pairs of it: 2**120 numbers, if anybody counted them
laughs = b'K\1' + b''.join(b'q%ch%c\x86' % (k, k) for k in range(120))
thrice = b'q\xf1h\xf1\x86q\xf2h\xf2h\xf2\x87' # v becomes ((v, v), (v, v), (v, v))
uint8 = b'cnumpy\ndtype\n\x8c\2u1\x89\x88\x87R(K\3\x8c\1|NNNtb'

def array(shape, dtype=uint8, raw=b'C\3abc'):
    "A pickled array that claims a shape and a type, six times."
    start = b'cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\1b\x87R(K\1'
    return program(start, shape, dtype, b'\x89', raw, b'tb', thrice)

def array_of_type(dtype): return array(b'K\3\x85', b'cnumpy\ndtype\n' + dtype)
def array_of_text(text, encoding):
    return array(b'K\3\x85', raw=b'c_codecs\nencode\n' + text + encoding + b'\x86R')
latin1 = b'X\6\0\0\0latin1'

refused_pickles = {
    "calls 'os.system'": [program(b'cos\nsystem\n', b'\x8c\4true\x85R'),
                          program(b'\x8c\2os\x8c\6system\x93')],
    "calls 'numpy.core.multiarray.": [program(b'cnumpy.core.multiarray\nfromfile\n')],
    "calls ''": [program(b'\x93')],
    'the instruction INST': [program(b'(ios\nsystem\n')],
    'the instruction OBJ': [program(b'(cnumpy\nndarray\no')],
    'the instruction NEWOBJ': [program(b'cnumpy\nndarray\n)\x81')],
    'the instruction EXT1': [program(b'\x82\1')],
    'the instruction PERSID': [program(b'Px\n')],
    'the instruction EMPTY_DICT': [program(b'}')],
    'the instruction DUP': [program(b'N2')],
    'the instruction NEXT_BUFFER': [program(b'\x97')],
    'makes no sense': [
        program(b'R'), program(b't'), program(b'h\7'), program(b'q\7'), program(b'\x94'),
        program(b'b'), program(b'K\1K\2b'), program(b'K\1K\2\x93'), program(b'K\1\x8c\1x\x93'),
        program(laughs, b'\x8c\1x\x93'), program(laughs, b'K\1b')],
    'something else': [
        program(b'\x86'), program(b'N'), program(b')'), program(b'N\x85'),
        program(b'NN\x86NN\x86\x86'), program(laughs), program(b'N'+b'\x85'*900)],
    'a pickled NoneType': [program(b'NN\x86NN\x86NN\x86\x87')],
    'a pickled tuple': [program(laughs, thrice)],
    'no end of the pickle': [
        b'\x80\2', b'(', program(b'\xff'), program(b'N'*2000), program(b'('*2000)],
    'a line without an end': [b'(I12', b'(cos', b'(cos\nsystem'],
    'damage': [
        program(b'I1__\n'), program(b'\x8e'+b'\xff'*8), program(b'\x96'+b'\xff'*7+b'\x7f'),
        program(b'T\xff\xff\xff\x7f'), program(b'B\xff\xff\xff\xff'),
        program(b'\x8b\xff\xff\xff\x7f'),
        array_of_text(b'X\4\0\0\0\xc3abc', latin1)],
    'as its header claims': [
        array(b'J\xff\xff\xff\x7f\x85'), array(b'\x8a\7'+b'\1'*7+b'\x85'),
        array(b'\x8a\xff'+b'\1'*255+b'\x85'), array(b'\x88K\3\x86'), array(b'N\x85'),
        array(b'J\xff\xff\xff\xffJ\xfd\xff\xff\xff\x86'), array(b')\x85'),
        array(b'K\3K\1\x86', raw=b'C\2ab'), array(b'('+b'\x8a\4\0\0\0\x7f'*300+b't')],
    'no examples': [array(b'K\0\x85', raw=b'C\0'), array(b'K\0\x8a\7'+b'\1'*7+b'\x86', raw=b'C\0')],
    'a pickled _Call': [
        array(b'K\3'), array(b'N'),
        program(b'cnumpy\nndarray\n\x8a\5\0\0\0\0\x7f\x85\x85R', thrice)],
    "values of type '|V9": [array_of_type(b'\x8c\x0aV999999999\x89\x88\x87R(K\3\x8c\1|NNNtb')],
    "values of type '|O": [array_of_type(b'\x8c\2O8\x89\x88\x87R(K\3\x8c\1|NNNtb')],
    'unusual type': [
        array(b'K\3\x85', b'N'), array_of_type(b'\x8c\2u1\x85R'), array(b'K\3\x85', raw=b'K\3'),
        array_of_text(b'\x8c\3abc', b'\x8c\5utf16'),
        array_of_text(b'X\3\0\0\0\xe2\x82\xac', latin1)],
    'train images of shape (3,)': [array(b'K\3\x85')]}

@pytest.mark.parametrize('words', refused_pickles)
def test_pickle(tmp_path, words):
    "Each instruction that is not in the table, each nonsense, each claim; and none costs memory."
    tracemalloc.start()
    try:
        for raw in refused_pickles[words]: refused(written(tmp_path/'claim.pkl', raw), words)
        assert tracemalloc.get_traced_memory()[1] < 3e6
    finally: tracemalloc.stop()

@pytest.mark.parametrize('words, value', [
    ('EMPTY_LIST', [*three]),
    ('three pairs', three[:2]),
    ('something else', (*three[0], images)),
    ('EMPTY_LIST', ((np.array([print]), labels),)*3)])
def test_pickle_of_something_else(tmp_path, words, value):
    refused(written(tmp_path/'other.pkl', pickle.dumps(value)), words)

@pytest.mark.parametrize('protocol', range(6))
def test_pickle_protocols(tmp_path, protocol): read_right(written(tmp_path/'any.pkl',
                                                                  pickle.dumps(three, protocol)))
