"Hand the facts of settings.ini to setuptools; nothing is said here that is said there."
import re
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_namespace_packages

here = Path(__file__).parent
cfg = ConfigParser()
cfg.read(here/'settings.ini', encoding='utf-8')
cfg = cfg['DEFAULT']
minor = [int(cfg[k].split('.')[1]) for k in ('min_python', 'max_python')]

def absolute(text):
    "The README for the package index, where no files stand beside it: its links lead to those of this version's tag."
    at = {'!': f"{cfg['git_url']}/raw/v{cfg['version']}/", '': f"{cfg['git_url']}/blob/v{cfg['version']}/"}
    def fix(m): return f"{m[1]}{m[2]}{at[m[1]]}"
    parts = re.split(r'(^ *```.*?^ *```|`[^`\n]*`)', text, flags=re.M | re.S) # every other one is code
    return ''.join(p if i % 2 else re.sub(r'(!?)(\[[^]]*\]\()(?![a-z]+:|#)', fix, p) for i, p in enumerate(parts))

setup(
    name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'].split(),
    author=cfg['author'], author_email=cfg['author_email'], url=cfg['git_url'], license_expression=cfg['license'],
    long_description=absolute((here/'README.md').read_text(encoding='utf-8')), long_description_content_type='text/markdown',
    python_requires=f">={cfg['min_python']}", install_requires=cfg['requirements'].split(),
    extras_require={k: cfg[f'{k}_requirements'].split() for k in ('dev', 'docs')},
    package_dir={'': '.'}, # so that an editable install is a line on Python's path, which a folder of the same name does not hide
    packages=find_namespace_packages(include=[cfg['lib_name'], *(f"{cfg['lib_name']}.{d}" for d in ('datasets', 'assets', 'page'))]),
    package_data={'': ['*.npz', '*.json', '*.md', '*.js', '*.css', '*.html', '*.safetensors', '*.mplstyle', 'py.typed']}, zip_safe=False,
    entry_points={'console_scripts': cfg['console_scripts'].split(), 'pytest11': cfg['pytest_plugin'].split(),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    classifiers=[f"Development Status :: {cfg['status']}", f"Intended Audience :: {cfg['audience']}",
                 f"Natural Language :: {cfg['language']}",
                 *[f'Programming Language :: Python :: 3.{k}' for k in range(minor[0], minor[1]+1)]])
