"""Times Drain3 (PyPI) with masking on one file; prints {"lines", "seconds", "clusters"}.

    python3 benches/figures/run_drain3.py FILE REPEAT

The masks are those of Drain3's own example configuration (examples/drain3.ini).
"""

import json
import sys
import time

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

MASKS = [
    (r"((?<=[^A-Za-z0-9])|^)(([0-9a-f]{2,}:){3,}([0-9a-f]{2,}))((?=[^A-Za-z0-9])|$)", "ID"),
    (r"((?<=[^A-Za-z0-9])|^)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})((?=[^A-Za-z0-9])|$)", "IP"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9a-f]{6,} ?){3,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)([0-9A-F]{4} ?){4,}((?=[^A-Za-z0-9])|$)", "SEQ"),
    (r"((?<=[^A-Za-z0-9])|^)(0x[a-f0-9A-F]+)((?=[^A-Za-z0-9])|$)", "HEX"),
    (r"((?<=[^A-Za-z0-9])|^)([\-\+]?\d+)((?=[^A-Za-z0-9])|$)", "NUM"),
    (r"(?<=executed cmd )(\".+?\")", "CMD"),
]


def main() -> None:
    """Feed every line of the file, as often as asked, to one miner."""
    with open(sys.argv[1], encoding="utf-8", errors="replace") as file:
        lines = [line.rstrip("\r\n") for line in file] * int(sys.argv[2])
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(mask, name) for mask, name in MASKS]
    miner = TemplateMiner(config=config)
    started = time.process_time()
    for line in lines:
        miner.add_log_message(line)
    seconds = time.process_time() - started
    clusters = len(miner.drain.clusters)
    print(json.dumps({"lines": len(lines), "seconds": seconds, "clusters": clusters}))


if __name__ == "__main__":
    main()
