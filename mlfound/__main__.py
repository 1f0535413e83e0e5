"`python -m mlfound` and the command `mlfound`: Ctrl-C ends it with one line and exit code 130, also while libraries load."
import os
import signal
import sys

def stop(*_):
    "Leave at once. An exception would not do: one that comes while a library is imported may be swallowed there."
    try:
        os.write(2, b'mlfound: interrupted\n')
    finally:
        os._exit(130)

def open_all_streams():
    "Where a stream is closed, lead it nowhere: or the next file that is opened takes its place, and is written to."
    for stream in range(3):
        try:
            os.fstat(stream)
        except OSError:
            os.open(os.devnull, os.O_RDWR) # takes the lowest number that is free

def main():
    "Load the library, which takes seconds, and run the command; its exit code."
    open_all_streams()
    os.environ['MPLBACKEND'] = 'agg' # drawings go into files
    heard = signal.getsignal(signal.SIGINT)
    if heard is signal.default_int_handler: # whoever ignores Ctrl-C, as a shell's background jobs do, goes on ignoring it
        signal.signal(signal.SIGINT, stop)
    try:
        from .cli import main as command
    except MemoryError:
        print('mlfound: error: out of memory while libraries were loaded', file=sys.stderr)
        return 2
    try:
        signal.signal(signal.SIGINT, heard)
        code = command()
        signal.signal(signal.SIGINT, signal.SIG_IGN) # it has ended: a second Ctrl-C changes nothing
        return code
    except KeyboardInterrupt:
        stop()

if __name__ == '__main__':
    sys.exit(main())
