"The switches of the longer run, and what each is set to by `python tests/run.py --all`."

# What the tests take a sample of, or few of: CONTRIBUTING.md says what each of these does.
LONGER = dict(MLFOUND_SITE_PAGES='all', MLFOUND_WIDTHS='all', MLFOUND_CASES='300',
              MLFOUND_PROGRAMS='300', MLFOUND_PICTURES='60', MLFOUND_KILLS='100',
              MLFOUND_FAULTS='all', MLFOUND_WORKBOOK='all')
