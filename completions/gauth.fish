complete --keep-order --exclusive --command gauth --arguments "(_GAUTH_COMPLETE=fish gauth -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
