# SPDX-License-Identifier: GPL-2.0-only
# fish completion for weir(8). The tool itself says which words may stand there (`weir complete`).

function __weir_complete
    set -l typed (commandline -opc)
    set -l last (commandline -ct)
    set -l weir $typed[1]
    set -e typed[1]
    for line in ($weir complete $typed "$last" 2>/dev/null)
        if test "$line" = :files
            __fish_complete_path "$last"
        else
            printf '%s\n' $line
        end
    end
end

complete -c weir -f -a '(__weir_complete)'
