package value

// MapIDs replaces the contract ids in a stored value. It returns v itself if nothing changes.
func MapIDs(v Value, rename func(ContractID) ContractID) Value {
	switch v := v.(type) {
	case ContractID:
		return rename(v)
	case *Optional:
		if v.V != nil {
			if inner := MapIDs(v.V, rename); inner != v.V {
				return Some(inner)
			}
		}
	case *List:
		elements, changed := make([]Value, 0, v.Length), false
		for e := range v.All() {
			renamed := MapIDs(e, rename)
			changed = changed || renamed != e
			elements = append(elements, renamed)
		}
		if changed {
			return ListOf(elements...)
		}
	case *Record:
		if fields, changed := mapAll(v.Fields, rename); changed {
			return &Record{v.Type, fields}
		}
	case *Variant:
		if arg := MapIDs(v.Arg, rename); arg != v.Arg {
			return &Variant{v.Type, v.Con, v.Rank, arg}
		}
	case *Map:
		var b MapBuilder
		changed := false
		for key, part := range v.All() { // ids keep their order, since their first parts stay
			newKey, newPart := MapIDs(key, rename), MapIDs(part, rename)
			changed = changed || newKey != key || newPart != part
			b.Add(newKey, newPart)
		}
		if changed {
			return b.Map(v)
		}
	}
	return v
}

func mapAll(all []Value, rename func(ContractID) ContractID) (mapped []Value, changed bool) {
	mapped = make([]Value, len(all))
	for i, v := range all {
		mapped[i] = MapIDs(v, rename)
		changed = changed || mapped[i] != v
	}
	return mapped, changed
}
