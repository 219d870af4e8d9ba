"""Pipeline documents: from the bytes of a file to a frozen, validated pipeline in which every part knows its place.

Who knows what, in the order in which a file passes through:
``loader`` (with ``parsers``, ``builder``, ``scalars``, ``syntax``) bytes to a positioned tree, within bounds; ``tree`` and
``trace`` the tree, and where each character of it stands; ``project`` and ``environments`` penstock.yml, merged for one
environment; ``params`` what a run is given; ``secrets`` (with ``secrets_file``, ``envelope``, ``private_files``) where
secrets come from; ``template`` and ``sql_text`` placeholders and what takes their place; ``validation`` a model over a
tree; ``contracts`` and ``schema_files`` schemas; ``read`` the pipeline itself; ``paths`` where its paths may lead.
``assembly.load`` is the entrance that goes through all of it and tells everything that is wrong at once;
``json_schema`` (with ``schema_pieces``) says the same to editors.
"""
