"""Run the bookshop under a seeded load and keep what it logs.

    python3 load.py --repo CHECKOUT --out DIRECTORY [--seed N] [--requests N]

Starts the service from a checkout, sends it a mix of requests from a few threads and stops
it. Its logs are left in the directory; what happened is printed as one line of JSON. Which
requests are sent, and how each ends, depends on nothing but the seed and their number.
"""

from __future__ import annotations

import argparse
import http.client
import json
import queue
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import quote, urlsplit

# Where the service pretends to be deployed. Tracebacks name files below it, so that logs
# do not depend on where the checkout lies.
PREFIX = "/srv/bookshop"

LOGS = ("access.log", "app.log", "worker.log")
THREADS = 6
START_SECONDS = 15
STOP_SECONDS = 30

# A failure seldom keeps to a steady rate: this many requests fail in a row, half-way.
BURST = 25

REVIEWED = range(1, 20)
OUT_OF_STOCK = (20, 21)
UNREVIEWED = (23, 24)
CUSTOMERS = ("ada", "ben", "carla", "dev", "elin", "farid", "grace", "hugo")
SEARCHES = ("austen", "dickens", "Brontë", "moon", "the", "north", "o'brien", "100%", "poetry")
LANGUAGES = ("en-GB,en;q=0.9", "fr-FR,fr;q=0.9,en;q=0.6", "de", "nl,en;q=0.4", "pt-BR,pt")
PROBES = ("/wp-login.php", "/.env", "/favicon.ico", "/robots.txt", "/admin")
AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/141.0 Safari/537.36",
)
OLD_APP = "BookshopApp/1.4 (Android 9)"
GOOD_ADDRESSES = (
    "12 High Street, London SW1A 1AA",
    "5 Rose Street, Edinburgh EH2 2PR",
    "88 Deansgate, Manchester M3 2ER",
    "2 Mill Lane, Cambridge CB2 1RX",
)
ADDRESSES_WITHOUT_POSTCODE = ("Collect at the Norwich shop", "14 rue des Écoles, 75005 Paris")


@dataclass
class Step:
    """One request, and the route it is counted under."""

    route: str
    target: str
    body: Optional[bytes] = None
    headers: Dict[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """The method, which every route begins with."""
        return self.route.split(" ")[0]


@dataclass
class Session:
    """What one visitor does, in order. With a token, the order just placed is looked up."""

    client: str
    agent: str
    pause: float
    steps: List[Step]
    token: Optional[str] = None


class Planner:
    """Decides what every visitor does, before the first request is sent."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        # The weights of what visitors do. Failures are rare, as they are in life.
        self.kinds: List[Tuple[int, Callable[[], Session]]] = [
            (300, self.search),
            (300, self.book),
            (70, self.reviews),
            (40, self.write_review),
            (90, self.order),
            (50, self.help_page),
            (45, self.shipping),
            (15, self.report),
            (60, self.health),
            (14, self.probe),
            (12, self.mistake),
            (8, self.slow),
            (8, self.book_without_reviews),
            (10, self.order_from_old_app),
            (9, self.order_without_postcode),
            (9, self.help_page_without_language),
            (8, self.shipping_to_the_north),
            (6, self.report_of_empty_period),
        ]

    def plan(self, requests: int) -> List[Session]:
        """Return sessions of at least ``requests`` requests in all, with the burst half-way."""
        weights = [weight for weight, _ in self.kinds]
        makers = [maker for _, maker in self.kinds]
        sessions: List[Session] = []
        sent, burst = 0, False
        while sent < requests:
            if not burst and sent >= requests // 2:
                burst = True
                made = [self.book_without_reviews() for _ in range(BURST)]
            else:
                made = [self.random.choices(makers, weights)[0]()]
            sessions += made
            sent += sum(len(one.steps) + (one.token is not None) for one in made)
        return sessions

    def session(self, *steps: Step, agent: Optional[str] = None) -> Session:
        """Return a session of these steps by a visitor of their own."""
        # 203.0.113.0/24 is kept for examples.
        client = f"203.0.113.{self.random.randrange(1, 255)}"
        chosen = agent or self.random.choice(AGENTS)
        return Session(client, chosen, self.random.uniform(0.0, 0.016), list(steps))

    def search(self) -> Session:
        """Search, and look at a page of what is found."""
        text, page = self.random.choice(SEARCHES), self.random.choice((1, 1, 1, 2))
        target = f"/books?q={quote(text)}&page={page}"
        return self.session(Step("GET /books", target))

    def book(self) -> Session:
        """Look at a book that has reviews."""
        return self.session(self._book(self.random.choice(REVIEWED)))

    def reviews(self) -> Session:
        """Look at a book and read its reviews."""
        book = self.random.choice(REVIEWED)
        listing = Step("GET /books/{id}/reviews", f"/books/{book}/reviews")
        return self.session(self._book(book), listing)

    def write_review(self) -> Session:
        """Review a book that has reviews already; some give it too many stars."""
        stars = self.random.choice((1, 2, 3, 3, 4, 4, 4, 5, 5, 5, 10))
        body = _json({"stars": stars, "comment": "Kept me up past midnight."})
        target = f"/books/{self.random.choice(REVIEWED)}/reviews"
        return self.session(Step("POST /books/{id}/reviews", target, body))

    def order(self) -> Session:
        """Order a book with an up-to-date client, and look at the order."""
        note = self.random.choice((None, None, None, "Happy birthday!"))
        session = self._order(gift_note=note, address=self.random.choice(GOOD_ADDRESSES))
        # A few look with the token of a session that has ended.
        if self.random.random() < 0.08:
            session.token = "example-token-expired-0f3c9a7e5b2d"
        return session

    def help_page(self) -> Session:
        """Read a help page."""
        topic = self.random.choice(("delivery", "delivery", "returns", "contact", "careers"))
        headers = {"Accept-Language": self.random.choice(LANGUAGES)}
        return self.session(Step("GET /help/{topic}", f"/help/{topic}", headers=headers))

    def shipping(self) -> Session:
        """Ask for the price of shipping; some forget the weight or live very far away."""
        country = self.random.choice(("GB", "GB", "FR", "DE", "NL", "US", "JP", "AQ"))
        grams = self.random.choice(("250", "400", "900", "2100", "2100", ""))
        return self.session(self._shipping(country, grams))

    def report(self) -> Session:
        """Look at a sales report; some ask for too long a period."""
        days = self.random.choice(("1", "7", "7", "30", "90", "5000"))
        return self.session(Step("GET /reports/sales", f"/reports/sales?days={days}"))

    def health(self) -> Session:
        """Check the service's health, as a load balancer does."""
        return self.session(Step("GET /healthz", "/healthz"), agent="lb-health/2.1")

    def probe(self) -> Session:
        """Look for what is not there."""
        step = Step("GET (none)", self.random.choice(PROBES))
        return self.session(step, agent="Mozilla/5.0 zgrab/0.x")

    def mistake(self) -> Session:
        """Send what a client should not."""
        stray = {"customer_id": 1, "book_id": 1, "quantity": 1, "gift_note": None}
        steps = (
            Step("GET /books", "/books?page=last"),
            self._book(9000 + self.random.randrange(100)),
            Step("DELETE (none)", f"/books/{self.random.choice(REVIEWED)}"),
            Step("POST /orders", "/orders", b"customer_id=1&book_id=3"),
            Step("POST /orders", "/orders", _json({**stray, "customer_id": 999})),
            Step("POST /orders", "/orders", _json({**stray, "book_id": 20})),
            Step("POST /orders", "/orders", _json({**stray, "quantity": 500})),
        )
        return self.session(self.random.choice(steps))

    def slow(self) -> Session:
        """Ask for a book that only the supplier may have."""
        book = self.random.choice(OUT_OF_STOCK)
        return self.session(Step("GET /books/{id}/stock", f"/books/{book}/stock"))

    def book_without_reviews(self) -> Session:
        """Look at a book that nobody has reviewed."""
        return self.session(self._book(self.random.choice(UNREVIEWED)))

    def order_from_old_app(self) -> Session:
        """Order with an app from before gift notes."""
        session = self._order(address=self.random.choice(GOOD_ADDRESSES))
        session.agent = OLD_APP
        session.token = None
        return session

    def order_without_postcode(self) -> Session:
        """Order to an address without a British postcode."""
        return self._order(
            gift_note=None, address=self.random.choice(ADDRESSES_WITHOUT_POSTCODE)
        )

    def help_page_without_language(self) -> Session:
        """Read a help page with a client that names no language."""
        return self.session(Step("GET /help/{topic}", "/help/returns"), agent="curl/8.5.0")

    def shipping_to_the_north(self) -> Session:
        """Ask for the price of shipping to the newest zone."""
        country = self.random.choice(("IS", "NO"))
        return self.session(self._shipping(country, self.random.choice(("250", "900"))))

    def report_of_empty_period(self) -> Session:
        """Submit the report's form without filling it in."""
        return self.session(Step("GET /reports/sales", "/reports/sales?days="))

    def _book(self, book: int) -> Step:
        return Step("GET /books/{id}", f"/books/{book}")

    def _shipping(self, country: str, grams: str) -> Step:
        return Step("GET /shipping/quote", f"/shipping/quote?country={country}&grams={grams}")

    def _order(self, **fields: Any) -> Session:
        customer = self.random.randrange(len(CUSTOMERS)) + 1
        body = {
            "customer_id": customer,
            "book_id": self.random.choice(REVIEWED),
            "quantity": self.random.choice((1, 1, 1, 2, 3)),
            **fields,
        }
        session = self.session(Step("POST /orders", "/orders", _json(body)))
        session.token = f"example-token-{CUSTOMERS[customer - 1]}-{customer * 1117:04}"
        return session


class Service:
    """The service as a process of its own."""

    def __init__(self, repo: Path, out: Path) -> None:
        command = [sys.executable, __file__, "--serve", str(repo), str(out)]
        # A file rather than a pipe: nobody reads it while the load runs.
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        self.address = self._wait_until_ready()

    def _wait_until_ready(self) -> str:
        """Return the address of the ready line."""
        # A service that hangs is ended, which ends the wait for its line as well.
        deadline = threading.Timer(START_SECONDS, self.process.kill)
        deadline.start()
        line = self.process.stdout.readline()
        deadline.cancel()
        if not line.startswith("ready "):
            self.kill()
            reason = self._complaint() or f"no ready line within {START_SECONDS} s"
            raise RuntimeError(f"the service did not start: {reason}")
        return urlsplit(line.split()[1]).netloc

    def stop(self) -> None:
        """Ask the service to finish what it has begun and wait until it has."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.communicate(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(f"the service did not stop within {STOP_SECONDS} s") from None
        if self.process.returncode != 0:
            raise RuntimeError(f"the service ended badly: {self._complaint()}")

    def kill(self) -> None:
        """End the service at once, whatever it does."""
        self.process.kill()
        self.process.communicate()

    def _complaint(self) -> str:
        """Return what the service wrote on its standard error."""
        self.errors.seek(0)
        return self.errors.read().strip()


class Load:
    """Plays sessions against a service from several threads and counts the answers."""

    def __init__(self, address: str, sessions: List[Session]) -> None:
        self.address = address
        self.routes: Dict[str, Counter] = defaultdict(Counter)
        self.error: Optional[Exception] = None
        self._lock = threading.Lock()
        self._queue: "queue.SimpleQueue[Session]" = queue.SimpleQueue()
        for session in sessions:
            self._queue.put(session)

    def run(self) -> None:
        """Play every session; raise the first error of any thread."""
        threads = [threading.Thread(target=self._visit) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if self.error is not None:
            raise RuntimeError(f"the service does not answer: {self.error!r}")

    def _visit(self) -> None:
        """Play sessions until none is left or any thread fails."""
        connection = http.client.HTTPConnection(self.address, timeout=10)
        try:
            while self.error is None:
                session = self._queue.get_nowait()
                time.sleep(session.pause)
                for step in session.steps:
                    answer = self._send(connection, session, step)
                if session.token is not None:
                    self._look_up(connection, session, answer)
        except queue.Empty:
            pass
        except Exception as error:  # A thread has no caller: run() raises it instead.
            self.error = error
        finally:
            connection.close()

    def _look_up(
        self, connection: http.client.HTTPConnection, session: Session, answer: bytes
    ) -> None:
        """Look at the order that was just placed."""
        order_id = json.loads(answer)["order_id"]
        headers = {"Authorization": f"Bearer {session.token}"}
        step = Step("GET /orders/{id}", f"/orders/{order_id}", headers=headers)
        self._send(connection, session, step)

    def _send(
        self, connection: http.client.HTTPConnection, session: Session, step: Step
    ) -> bytes:
        """Send one request, count its status and return the answer's body."""
        headers = {
            "User-Agent": session.agent,
            "X-Forwarded-For": session.client,
            **step.headers,
        }
        connection.request(step.method, step.target, step.body, headers)
        response = connection.getresponse()
        answer = response.read()
        with self._lock:
            self.routes[step.route][str(response.status)] += 1
        return answer


def tracebacks(out: Path) -> Iterator[str]:
    """Yield every traceback in the logs."""
    block: List[str] = []
    for line in (out / "app.log").read_text(encoding="utf-8").splitlines():
        if line.startswith("Traceback "):
            block = [line]
        elif block:
            block.append(line)
            # The exception's own line is the first that is not indented.
            if not line.startswith(" "):
                yield "\n".join(block)
                block = []
    for line in (out / "worker.log").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        if "exc_info" in record:
            yield record["exc_info"]


def culprit(traceback: str) -> str:
    """Return ``ZeroDivisionError at bookshop/ratings.py:average`` for a traceback."""
    frames = re.findall(rf'File "{PREFIX}/(\S+)", line \d+, in (\w+)', traceback)
    file, function = frames[-1] if frames else ("elsewhere", "?")
    exception = traceback.splitlines()[-1].split(":")[0]
    return f"{exception} at {file}:{function}"


def drive(repo: Path, out: Path, seed: int, requests: int) -> Dict[str, Any]:
    """Run the service under load and return what happened."""
    if not (repo / "bookshop" / "__main__.py").is_file():
        raise RuntimeError(f"{repo} is not a checkout of the bookshop")
    out.mkdir(parents=True, exist_ok=True)
    for name in LOGS:
        (out / name).unlink(missing_ok=True)
    sessions = Planner(seed).plan(requests)
    service = Service(repo, out)
    load = Load(service.address, sessions)
    try:
        load.run()
    except BaseException:
        service.kill()
        raise
    service.stop()
    statuses: Counter = Counter()
    for counts in load.routes.values():
        statuses.update(counts)
    exceptions = Counter(culprit(traceback) for traceback in tracebacks(out))
    return {
        "requests": sum(statuses.values()),
        "statuses": dict(sorted(statuses.items())),
        "routes": {
            route: dict(sorted(counts.items())) for route, counts in sorted(load.routes.items())
        },
        "exceptions": dict(sorted(exceptions.items())),
    }


def serve(repo: str, out: str) -> None:
    """Be the service: run the package of a checkout as if it were deployed at PREFIX."""
    import importlib.machinery
    import runpy

    root = str(Path(repo).resolve())

    class DeployedLoader(importlib.machinery.SourceFileLoader):
        """Compiles a module under the name its file has where it is deployed."""

        def get_code(self, fullname: str) -> Any:
            path = self.get_filename(fullname)
            name = PREFIX + path[len(root) :].replace("\\", "/")
            return compile(self.get_data(path), name, "exec", dont_inherit=True)

    def find_below_root(directory: str) -> importlib.machinery.FileFinder:
        if directory != root and not directory.startswith(root + "/"):
            raise ImportError(directory)
        return importlib.machinery.FileFinder(directory, (DeployedLoader, [".py"]))

    sys.path_hooks.insert(0, find_below_root)
    sys.path.insert(0, root)
    sys.argv = ["bookshop", "--port", "0", "--logs", out]
    runpy.run_module("bookshop", run_name="__main__", alter_sys=True)


def _json(document: Any) -> bytes:
    return json.dumps(document).encode()


def main() -> int:
    """Read the command line, drive the service and print what happened."""
    if sys.argv[1:2] == ["--serve"]:
        serve(*sys.argv[2:4])
        return 0
    parser = argparse.ArgumentParser(description="Run the bookshop under a seeded load.")
    parser.add_argument("--repo", type=Path, required=True, help="a checkout of the bookshop")
    parser.add_argument("--out", type=Path, required=True, help="where the logs are left")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--requests", type=int, default=3000, help="at least this many are sent")
    arguments = parser.parse_args()
    try:
        summary = drive(
            arguments.repo.resolve(), arguments.out.resolve(), arguments.seed, arguments.requests
        )
    except (OSError, RuntimeError) as error:
        print(f"load.py: {error}", file=sys.stderr)
        return 1
    print(json.dumps(summary))
    return 0


if __name__ == "__main__":
    sys.exit(main())
