
set edit:completion:arg-completer[gauth] = { |@words|
    var index = (count $words)
    set index = (- $index 1)

    put (env _CLAP_IFS="\n" _CLAP_COMPLETE_INDEX=(to-string $index) _GAUTH_COMPLETE="elvish" gauth -- $@words) | to-lines
}

