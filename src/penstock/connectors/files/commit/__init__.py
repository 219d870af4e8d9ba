"""The commit protocol of file sinks: a log of versions beside the data, one folder per committed epoch.

Parts are written out of sight under names that no reader looks for, and made durable; their manifest joins them; then
one rename of the attempt's folder to the next version of the log is **the commit**: it fails where that version is
taken, and where a newer runner has thrown the attempt away. Publishing then moves the parts to where readers look, and
is finished by whoever comes next if it was interrupted.

The home of a target's state, ``_penstock`` in the folder (of one file: ``_penstock/file-<name>-<hash>`` beside it)::

    fences/<sink>/<n>                          the newest runner that writes for this sink
    staging/<sink>/<fence>-<attempt>/parts/    the files of an attempt, one folder per writer
    log/<version>/manifest                     a committed epoch: sink id with incarnation, files in, files out
    log/<version>/parts/                       its files until they are published
    snapshots/<version>                        all that the versions up to this one left, so that old ones can go
    trash/                                     what is being deleted

``<sink>`` is a readable name and a hash of what all incarnations of the sink have in common. No name in here ends in
``.csv``, ``.json`` or ``.parquet``: a glob below the folder never finds one.
"""
