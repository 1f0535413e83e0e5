"docs/readme.py: a notebook becomes a README that GitHub shows well."

import re

import pytest
from book import cells, chapters, nbs, rooms, source
from readme import note, readme, relink


def md(source):
    return dict(cell_type='markdown', source=source)


def code(source, *outputs):
    return dict(cell_type='code', source=source, outputs=list(outputs))


def stream(text):
    return dict(output_type='stream', name='stdout', text=text)


def result(**data):
    return dict(
        output_type='execute_result', data={k.replace('_', '/', 1): v for k, v in data.items()}
    )


def made(*cells):
    return readme(dict(cells=cells)).removeprefix(note).strip('\n')


def test_text_and_code():
    assert (
        made(md('# T\n'), code(['a = 1\n', 'a'], result(text_plain=['1'])))
        == '# T\n\n```python\na = 1\na\n```\n\n```\n1\n```'
    )


def test_note_comes_first():
    assert readme(dict(cells=[])).startswith('<!-- generated')


def test_printed_text():
    assert made(code('print(1)', stream(['1\n', '2\n']))).endswith('```\n1\n2\n```')


def test_markdown_output():
    assert made(code('#| echo: false\ntable', result(text_plain='T', text_markdown='|a|'))) == '|a|'


def test_front_matter_dropped():
    assert made(dict(cell_type='raw', source='---\n---'), md('x')) == 'x'


@pytest.mark.parametrize('directive', ['hide', ' hide', ' include: false', ' export'])
def test_hidden(directive):
    assert made(code(f'#|{directive}\nx', stream('x'))) == ''


def test_directives_dropped():
    assert made(code('#| code-fold: true\nx')) == '```python\nx\n```'


def test_only_directives():
    assert made(code('#| default_exp x')) == ''


def test_output_false():
    assert made(code('#| output: false\nx', stream('y'))) == '```python\nx\n```'


def test_links():
    assert (
        relink('[a](index.ipynb#x) ![b](../README.md)') == '[a](nbs/index.ipynb#x) ![b](README.md)'
    )
    assert (
        relink('[![b](images/journey.svg)](index.ipynb)')
        == '[![b](nbs/images/journey.svg)](nbs/index.ipynb)'
    )
    assert (
        relink('<img src="images/journey.svg" alt="">')
        == '<img src="nbs/images/journey.svg" alt="">'
    )
    assert relink('[a]: index.ipynb') == '[a]: nbs/index.ipynb'


@pytest.mark.parametrize(
    'text',
    [
        '[a](https://example.org/b)',
        '[a](#part)',
        '[a](mailto:a@example.org)',
        '[^1]: note',
        '`x[0](y)`',
        '```\n[a](b)\n```',
    ],
)
def test_not_links(text):
    assert relink(text) == text


def test_broken_link():
    with pytest.raises(SystemExit, match='there is no nbs/nowhere.ipynb'):
        relink('[a](nowhere.ipynb)')


def test_image_output():
    with pytest.raises(SystemExit, match='save it in nbs/images/'):
        made(code('plot()', result(image_png='iVBOR', text_plain='<Figure>')))


def test_failed_cell():
    with pytest.raises(SystemExit, match='stopped with NameError'):
        made(code('x', dict(output_type='error', ename='NameError')))


def test_chapters_go_by_their_numbers():
    "The number that a link of the first page shows is that of the notebook it leads to."
    text = '\n'.join(source(c) for c in cells(nbs/'index.ipynb') if c['cell_type'] == 'markdown')
    found = re.findall(r'\[(\d\d) [^]]*\]\((\d\d)_\w+\.ipynb\)', text)
    assert len(found) > 40 and all(shown == number for shown, number in found)
    assert len({*(n for _, n in found)}) == len(found)


def test_every_chapter_stands_in_one_table_of_the_home_page():
    listed = [p for paths in rooms().values() for p in paths]
    assert sorted(listed) == chapters(), 'the navigation is made of the tables in nbs/index.ipynb'
