package rule

import "strings"

// Tags returns what alerts of the rule can be chosen by, in the spelling of Sigma: attack.t1606.002 for each ATT&CK technique, and
// the further tags that its author gave it.
func (r *Rule) Tags() []string {
	var out []string
	for _, technique := range r.Doc.Attack {
		out = append(out, "attack."+strings.ToLower(technique))
	}
	return append(out, r.Doc.Tags...)
}

// Tagged tells whether the rule has the tag, in lower case, or one below it: attack.t1606 is attack.t1606.002, too.
func (r *Rule) Tagged(tag string) bool {
	for _, has := range r.Tags() {
		if rest, ok := strings.CutPrefix(has, tag); ok && (rest == "" || rest[0] == '.') {
			return true
		}
	}
	return false
}
