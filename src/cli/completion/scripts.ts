/**
 * What `completion` prints: as little as each shell needs to ask this program what comes next. The program is asked by
 * its name alone: a `./bedrock-proxy` of some folder does not run because somebody presses TAB.
 */
import { printData } from '../../app/print.ts';
import { COMPLETE } from './complete.ts';

const BASH = `_bedrock_proxy() {
  local IFS=$'\\n'
  COMPREPLY=($(bedrock-proxy ${COMPLETE} bash "\${COMP_LINE:0:COMP_POINT}" "$COMP_WORDBREAKS" 2>/dev/null))
  if [[ \${COMPREPLY[0]} == : ]]; then
    COMPREPLY=()
    compopt -o default 2>/dev/null
  elif [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -F _bedrock_proxy bedrock-proxy`;

const ZSH = `_bedrock_proxy() {
  local -a values descriptions
  local line
  while IFS= read -r line; do
    if [[ $line == : ]]; then
      _files
      return
    fi
    values+=("\${line%%$'\\t'*}")
    descriptions+=("\${line/$'\\t'/  -- }")
  done < <(bedrock-proxy ${COMPLETE} zsh "\${(@)words[2,CURRENT]}" 2>/dev/null)
  (( \${#values} )) && compadd -l -d descriptions -a values
}
compdef _bedrock_proxy bedrock-proxy`;

const FISH = `function __bedrock_proxy_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines (bedrock-proxy ${COMPLETE} fish $words[2..-1] 2>/dev/null)
    if test "$lines[1]" = :
        __fish_complete_path (commandline -ct)
    else
        string join \\n -- $lines
    end
end
complete -c bedrock-proxy -f -a '(__bedrock_proxy_complete)'`;

const POWERSHELL = `Register-ArgumentCompleter -Native -CommandName bedrock-proxy -ScriptBlock {
  param($word, $ast, $position)
  $line = $ast.ToString()
  $end = [Math]::Min($position - $ast.Extent.StartOffset, $line.Length)
  $text = if ($word -eq '') { $line.Substring(0, $end) + ' ' } else { $line.Substring(0, $end) }
  bedrock-proxy ${COMPLETE} powershell $text 2>$null | Where-Object { $_ -ne ':' } | ForEach-Object {
    $value, $description = $_ -split "\`t", 2
    if (-not $description) { $description = $value }
    [System.Management.Automation.CompletionResult]::new($value, $value, 'ParameterValue', $description)
  }
}`;

const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH, powershell: POWERSHELL };

/** Prints the script of a shell, which has one. */
export function printScript(shell: string): void {
  printData(SCRIPTS[shell] ?? '');
}
