"""The real server with a sampler inside; adds to `profile.txt` in the data folder at its end."""

import sys
from pathlib import Path

from bench.sampler import Sampler
from tokenwatcher_server.cli.main import main


def run(arguments: list[str]) -> None:
    data_dir = Path(arguments[arguments.index("--data-dir") + 1])
    sampler = Sampler()
    sampler.start()
    try:
        main(["serve", *arguments], standalone_mode=False)
    finally:
        with (data_dir / "profile.txt").open("a", encoding="utf-8") as file:
            file.write(sampler.report() + "\n\n")


if __name__ == "__main__":
    run(sys.argv[1:])
