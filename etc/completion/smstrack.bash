# Bash completion of smstrack. Commands and options are read from its own --help, so this can't fall behind.

_smstrack_commands()
{
	"$1" --help 2>/dev/null | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on { print $1 }'
}

_smstrack_options()
{
	"$@" --help 2>/dev/null | grep -o -e '--[a-z-]*' | sort -u
}

_smstrack()
{
	local smstrack=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command= word i
	local commands

	COMPREPLY=()
	commands=$(_smstrack_commands "$smstrack")
	for ((i = 1; i < COMP_CWORD; i++)); do
		for word in $commands; do
			[[ ${COMP_WORDS[i]} == "$word" ]] && command=$word && break 2
		done
	done
	case $prev in
	-s | --socket | -f | --config | --daemon)
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	-t | --timeout | --to | --text | --from | --campaign | --id | --ttl | -l | --limit | -n | --messages | -r | --rate | --inflight)
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_smstrack_options "$smstrack" $command)" -- "$cur")
		return
	fi
	case $command in
	"") mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$cur") ;;
	set) [[ $prev == set ]] && mapfile -t COMPREPLY < <(compgen -W inflight -- "$cur") ;;
	check) mapfile -t COMPREPLY < <(compgen -f -- "$cur") ;;
	pause | resume)
		mapfile -t COMPREPLY < <(compgen -W "$("$smstrack" -t 1 providers 2>/dev/null | awk 'NR > 1 { print $1 }')" -- "$cur")
		;;
	esac
}

complete -F _smstrack smstrack
