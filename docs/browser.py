"A real browser for what only a browser can tell: how tall a page is, what it loads, what it says."
import os
import shutil
from contextlib import contextmanager

# The first has no window: what the others spend on one is two thirds of the time of a new page.
NAMES = ('chromium-headless-shell', 'chromium', 'chromium-browser', 'google-chrome',
         'google-chrome-stable', 'chrome')
FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--font-render-hinting=none'] # or lines break elsewhere without a window than in one

def executable():
    "Chromium's path: that in MLFOUND_CHROMIUM, or the first that is installed, or None."
    return os.environ.get('MLFOUND_CHROMIUM') or next(filter(None, map(shutil.which, NAMES)), None)

@contextmanager
def chromium():
    "A running Chromium."
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
