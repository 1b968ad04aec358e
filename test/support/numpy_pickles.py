"""Writes small pickles of arrays as base64, one a line: writer, protocol, case, pickle.

    python3 numpy_pickles.py > numpy_pickles.txt     (Python 3 with NumPy)
    python2 numpy_pickles.py >> numpy_pickles.txt    (Python 2; stand-ins reduce as NumPy's classes do)
"""
import base64
import pickle
import struct
import sys
import types

PYTHON3 = sys.version_info[0] == 3


def stand_ins():
    """Modules with the names and the __reduce__ of NumPy 1 for Python 2."""

    class dtype(object):
        def __init__(self, code, order='<'):
            self.code, self.order = code, order

        def __reduce__(self):
            return dtype, (self.code, 0, 1), (3, self.order, None, None, None, -1, -1, 0)

    class ndarray(object):
        def __init__(self, kind, shape, data, is_fortran=False):
            self.state = (1, shape, kind, is_fortran, data)

        def __reduce__(self):
            return _reconstruct, (ndarray, (0,), 'b'), self.state

    class float64(object):
        def __init__(self, number):
            self.number = number

        def __reduce__(self):
            return scalar, (dtype('f8'), struct.pack('<d', self.number))

    def _reconstruct(*arguments):
        raise NotImplementedError

    def scalar(*arguments):
        raise NotImplementedError

    for name in ('numpy', 'numpy.core', 'numpy.core.multiarray'):
        sys.modules[name] = types.ModuleType(name)
    for thing in (dtype, ndarray, float64):
        thing.__module__ = 'numpy'
        setattr(sys.modules['numpy'], thing.__name__, thing)
    for thing in (_reconstruct, scalar):
        thing.__module__ = 'numpy.core.multiarray'
        setattr(sys.modules['numpy.core.multiarray'], thing.__name__, thing)
    return dtype, ndarray, float64


def cases_of_python2():
    dtype, ndarray, float64 = stand_ins()

    def array(code, shape, pattern, numbers, order='<', is_fortran=False):
        return ndarray(dtype(code, order), shape, struct.pack(pattern, *numbers), is_fortran)

    matrix = [1.5, -2.0, 3.25, 0.0, 1e-3, -7.0]
    columns = [1.5, 0.0, -2.0, 1e-3, 3.25, -7.0]
    return {
        'float32': array('f4', (2, 3), '<6f', matrix),
        'float64 by columns': array('f8', (2, 3), '<6d', columns, is_fortran=True),
        'float32, big-endian': array('f4', (2, 3), '>6f', matrix, '>'),
        'int64, big-endian': array('i8', (2,), '>2q', [-2, 2**40], '>'),
        'int16': array('i2', (3,), '<3h', [-300, 0, 300]),
        'int32': array('i4', (2,), '<2i', [-70000, 70000]),
        'uint8': array('u1', (3,), '<3B', [0, 128, 255], '|'),
        'uint16': array('u2', (2,), '<2H', [1, 65535]),
        'uint32': array('u4', (2,), '<2I', [1, 2**32 - 1]),
        'bool': array('b1', (2,), '<2B', [1, 0], '|'),
        'a scalar array': array('f4', (), '<f', [2.5]),
        'an empty array': array('f4', (0, 4), '', []),
        # Python 2 keeps each string of one character once, so these share one with the names of types.
        'single bytes': {'b': array('i1', (1,), '<b', [ord('<')], '|'), '|': array('i1', (1,), '<b', [ord('b')], '|')},
        'a number': float64(0.1),
        'text': {'\xe9t\xe9': u'\u6f22', 'list': [1, (2.5, None), True]},
    }


def cases_of_python3():
    import numpy as np

    matrix = np.array([[1.5, -2.0, 3.25], [0.0, 1e-3, -7.0]])
    shared = np.array([1.0, 2.0], 'f4')
    return {
        'float32': matrix.astype('f4'),
        'float64 by columns': np.asfortranarray(matrix),
        'float32, big-endian': matrix.astype('>f4'),
        'int64, big-endian': np.array([-2, 2**40], '>i8'),
        'float16': np.array([1.5, -2.0, 65504.0], 'f2'),
        'float16, big-endian': np.array([1.5, -2.0, 65504.0], '>f2'),
        'int8': np.array([-128, 127], 'i1'),
        'int16': np.array([-300, 0, 300], 'i2'),
        'int32': np.array([-70000, 70000], 'i4'),
        'uint8': np.array([0, 128, 255], 'u1'),
        'uint16': np.array([1, 65535], 'u2'),
        'uint32': np.array([1, 2**32 - 1], 'u4'),
        'bool': np.array([True, False]),
        'three axes by columns': np.asfortranarray(np.arange(24, dtype='i4').reshape(2, 3, 4)),
        'axes in another order': np.arange(24, dtype='i4').reshape(3, 2, 4).transpose(1, 0, 2),
        'every second column': np.arange(8, dtype='i4').reshape(2, 4)[:, ::2],
        'a scalar array': np.array(2.5, 'f4'),
        'an empty array': np.zeros((0, 4), 'f4'),
        'a number': np.float64(0.1),
        'a short number': np.float16(0.5),
        'the same array twice': [shared, shared],
        'text': {'\xe9t\xe9': '\u6f22', 'list': [1, (2.5, None), True]},
        'objects': {'a': np.array([None, 'x'], object)},
        'records': {'a': np.array([(1, 2.0)], [('n', 'i4'), ('x', 'f8')])},
        'texts': {'a': np.array(['ab'])},
        'complex numbers': {'a': np.array([1j])},
        'numbers of the type u8': {'a': np.array([1], 'u8')},
    }


def write(writer, protocols, cases, dumps):
    for protocol in protocols:
        for case in sorted(cases):
            pickled = base64.b64encode(dumps(cases[case], protocol)).decode('ascii')
            print('\t'.join([writer, str(protocol), case, pickled]))


if PYTHON3:
    write('Python 3', range(6), cases_of_python3(), pickle.dumps)
else:
    import cPickle

    write('Python 2', range(3), cases_of_python2(), pickle.dumps)
    write('cPickle of Python 2', range(3), cases_of_python2(), cPickle.dumps)
