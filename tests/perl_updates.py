"""Update packages sent by Perl's ZOOM binding, as programs of libraries send them."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PRELUDE = """
use strict; use warnings; use ZOOM;
my ($peer, $user, $password, $file) = @ARGV;
open my $in, '<:raw', $file or die; local $/; my $record = <$in>;
my $options = ZOOM::Options->new();
$options->option(user => $user); $options->option(password => $password);
my $connection = ZOOM::Connection->create($options);
$connection->connect($peer);
sub update {
    my %options = @_;
    my $package = $connection->package();
    $package->option($_ => $options{$_}) for keys %options;
    eval { $package->send('update'); };
    if (my $fault = $@) { printf "refused %d %s\\n", $fault->code(), $fault->addinfo(); return; }
    printf "%s %s\\n", $options{action}, $package->option('targetReference') // 'none';
}
"""


def perl_updates(
    perl: str, peer: str, login: str, folder: Path, record: bytes, script: str
) -> list[str]:
    """What `script` prints, line by line; `login` is NAME/PASSWORD, `peer` HOST:PORT/DATABASE.

    The script finds the connection in `$connection`, `record` in `$record`, and
    `update(%options)`, which prints a line: the action and what the package refers to,
    or "refused" with the condition and its addinfo.
    """
    (folder / "record.mrc").write_bytes(record)
    path = folder / "updates.pl"
    path.write_text(_PRELUDE + script)
    done = subprocess.run(
        [perl, str(path), peer, *login.split("/"), str(folder / "record.mrc")],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done
    return done.stdout.decode().splitlines()
