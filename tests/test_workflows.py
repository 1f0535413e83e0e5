"The workflows of .github/ are well formed, safe, and test the Pythons of settings.ini."

import yaml
from conftest import root, run, scripts, settings

folder = root / '.github/workflows'


def test_schema():
    run(
        scripts / 'check-jsonschema',
        '--builtin-schema',
        'vendor.github-workflows',
        *folder.glob('*.y*ml'),
    )


def test_zizmor():
    "Among others: actions pinned to a commit, least permissions, no text from outside in a script."
    said = run(
        scripts / 'zizmor',
        '--offline',
        '--no-progress',
        '--color=never',
        '--strict-collection',
        folder,
    )
    assert ' WARN ' not in said, said  # an expression that does not parse is only a warning


def test_pythons():
    matrix = yaml.safe_load((folder / 'test.yaml').read_text(encoding='utf-8'))['jobs']['test'][
        'strategy'
    ]['matrix']
    assert matrix['python'] == [settings()['min_python'], settings()['max_python']]
