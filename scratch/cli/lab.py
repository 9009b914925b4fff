"""``python -m scratch lab``: open a page that shows every number of a network."""

import argparse
import signal
import sys
import webbrowser

from scratch.callbacks import BackupAndRestore
from scratch.cli.options import add_data_option, file_name
from scratch.datasets import mnist
from scratch.utils import print_now


def run(words: list[str]) -> int:
    """Serve the lab until it is stopped; return the exit status."""
    options = _parse(words)
    from scratch.lab import running
    from scratch.lab.packages import check_packages

    check_packages("python -m scratch lab")
    if options.stop:
        return _stop(running.stop(options.port))
    from scratch.lab.server import Server, listen
    from scratch.lab.session import make_session

    listener = listen(options.port)
    backup = BackupAndRestore(options.resume, "auto", delete_checkpoint=False) if options.resume else None
    port = listener.getsockname()[1]
    session = make_session(mnist.load(options.data), options.model, options.seed, backup)
    if backup:
        session.training.started.wait()
        if session.training.reason:
            raise ValueError(str(session.training.reason))
    server = Server(session, listener, running.token_of(port) if options.port else None)
    running.remember(port, server.token)
    url = f"{server.url}&lang={options.lang}" if options.lang else server.url
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        print_now(f"The lab is open at {url} (Ctrl-C ends it).")
        if not options.no_browser:
            webbrowser.open(url)
        server.run()
    except KeyboardInterrupt:
        pass  # the usual end
    finally:
        session.close()
        if not options.port:
            running.forget(port)
    return 0


def _stop(ports: list[int]) -> int:
    """Print which labs were stopped; return the exit status."""
    for port in ports:
        print_now(f"Stopped the lab at port {port}.")
    if not ports:
        print_now("No lab is running.")
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    description = (
        "Open a page that shows every number of a network: draw a digit, train, compare with Keras, find bugs."
    )
    parser = argparse.ArgumentParser(prog="python -m scratch lab", description=description)
    meaning = "a model saved by scratch or Keras (default: the article's network, not trained yet)"
    parser.add_argument("--model", metavar="FILE.keras", type=file_name, help=meaning)
    add_data_option(parser)
    parser.add_argument("--port", metavar="N", type=int, default=0, help="port of 127.0.0.1 (default: a free one)")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="random seed of the network (default: 0)")
    meaning = "keep backups of the training in this folder, and resume from the last one"
    parser.add_argument("--resume", metavar="FOLDER", type=file_name, help=meaning)
    parser.add_argument("--stop", action="store_true", help="stop the running labs, or that of --port, and exit")
    parser.add_argument("--no-browser", action="store_true", help="print the address only")
    parser.add_argument("--lang", choices=("en", "ja"), help="language of the page (default: the browser's)")
    return parser.parse_args(words)
