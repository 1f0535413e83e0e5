"The path as one book to read offline; docs/prepare.py has its chapters written to _proc/ebook/."
import json
import shutil

from book import cfg, docname, label, nbs, online, path_chapters, root

def still(cell):
    "A cell whose figure stands still, for a reader that runs no scripts."
    if cell['cell_type'] != 'code': return cell
    outputs = []
    for o in cell['outputs']:
        data = o.get('data', {})
        if len(data) > 1: data = {kind: v for kind, v in data.items() if kind != 'text/html'}
        outputs.append(o | dict(data=data) if data else o)
    return cell | dict(outputs=outputs)

def cover():
    "The book's first page, with its chapters."
    lines = [f'{label(p)} <{docname(p)}>' for p in path_chapters()]
    text = f"{cfg['description']}. The rest of the book, and the figures that move: <{online}>."
    title = f"# {cfg['lib_name']}: the path"
    return '\n'.join([title, '', text, '', '```{toctree}', *lines, '```', ''])

def prepare(page, notebook):
    "Write the chapters; `page` and `notebook` are those of docs/prepare.py."
    to = root/'_proc/ebook'
    shutil.rmtree(to, ignore_errors=True)
    shutil.copytree(nbs/'images', to/'images')
    names = [docname(p) for p in path_chapters()]
    for path in path_chapters():
        cells = [still(c) for c in page(path, pages=names)]
        text = json.dumps(notebook(cells, path), ensure_ascii=False)
        (to/f'{docname(path)}.ipynb').write_text(text, encoding='utf-8')
    (to/'index.md').write_text(cover(), encoding='utf-8')
