package validate

import (
	"github.com/synod-network/synod/daml/lf"
)

// tuple2 is the type of pairs in the standard library, in which queries by key
// answer.
var tuple2 = lf.Ref{
	Package: "5aee9b21b8e9a4c4975b5f4c4198e6e6e8469df49e2010820e792f393db870f4",
	Module:  "DA.Types",
	Name:    "Tuple2",
}

func (c *checker) typeOfUpdate(u lf.Update) lf.Type {
	switch u := u.(type) {
	case *lf.Pure:
		t := c.star(u.Type)
		c.checkSub("value", -1, u.Value, t)
		return updateOf(t)
	case *lf.Block:
		return c.typeOfBlock(u)
	case *lf.EmbedExpr:
		t := updateOf(c.star(u.Type))
		c.checkSub("body", -1, u.Body, t)
		return t
	case *lf.TryCatch:
		t := updateOf(c.star(u.Type))
		c.checkSub("try", -1, u.Body, t)
		c.bind(u.Var, builtin(lf.TypeAnyException))
		c.checkSub("catch", -1, u.Handler, builtin(lf.TypeOptional, t))
		c.unbind(u.Var)
		return t
	case *lf.Create:
		c.template(u.Template)
		c.checkSub("argument", -1, u.Arg, con(u.Template))
		return updateOf(contractID(u.Template))
	case *lf.CreateInterface:
		c.interfaceOf(u.Interface)
		c.checkSub("argument", -1, u.Arg, con(u.Interface))
		return updateOf(contractID(u.Interface))
	case *lf.Fetch:
		c.template(u.Template)
		c.checkSub("contract id", -1, u.ContractID, contractID(u.Template))
		return updateOf(con(u.Template))
	case *lf.FetchInterface:
		c.interfaceOf(u.Interface)
		c.checkSub("contract id", -1, u.ContractID, contractID(u.Interface))
		return updateOf(con(u.Interface))
	case *lf.Exercise:
		choice := c.choice("template "+u.Template.Qualified(), c.template(u.Template).Choices, u.Choice)
		return c.typeOfExercise(choice, u.Template, u.ContractID, u.Arg)
	case *lf.ExerciseInterface:
		if u.Guard != nil {
			c.failf(RuleVersion, "guards are not in Daml-LF %s", c.pkg.Version)
		}
		choice := c.choice("interface "+u.Interface.Qualified(), c.interfaceOf(u.Interface).Choices, u.Choice)
		return c.typeOfExercise(choice, u.Interface, u.ContractID, u.Arg)
	case *lf.GetTime:
		return updateOf(builtin(lf.TypeTimestamp))
	case *lf.LedgerTimeLT:
		c.checkSub("time", -1, u.Time, builtin(lf.TypeTimestamp))
		return updateOf(builtin(lf.TypeBool))
	}
	return c.typeOfByKey(u)
}

func (c *checker) typeOfExercise(choice *lf.Choice, on lf.Ref, id, arg lf.Expr) lf.Type {
	c.checkSub("contract id", -1, id, contractID(on))
	c.checkSub("argument", -1, arg, c.foreign(choice.Arg.Type))
	return updateOf(c.foreign(choice.Result))
}

func (c *checker) typeOfByKey(u lf.Update) lf.Type {
	if !c.pkg.Version.HasKeys() {
		c.failf(RuleVersion, "contract keys are not in Daml-LF %s", c.pkg.Version)
	}
	found := func(t lf.Ref) lf.Type { return lf.AppTypes(con(tuple2), contractID(t), con(t)) }
	switch u := u.(type) {
	case *lf.FetchByKey:
		return lf.Arrow(c.keyType(u.Template), updateOf(found(u.Template)))
	case *lf.QueryNByKey:
		list := builtin(lf.TypeOptional, builtin(lf.TypeList, found(u.Template)))
		return lf.Arrow(builtin(lf.TypeInt64), lf.Arrow(c.keyType(u.Template), updateOf(list)))
	case *lf.ExerciseByKey:
		choice := c.choice("template "+u.Template.Qualified(), c.template(u.Template).Choices, u.Choice)
		c.checkSub("key", -1, u.Key, c.keyType(u.Template))
		c.checkSub("argument", -1, u.Arg, c.foreign(choice.Arg.Type))
		return updateOf(c.foreign(choice.Result))
	}
	c.failf(RuleType, "%T is no update", u)
	return nil
}

func (c *checker) keyType(r lf.Ref) lf.Type {
	t := c.template(r)
	if t.Key == nil {
		c.failf(RuleReference, "template %s has no key", r.Qualified())
	}
	return c.foreign(t.Key.Type)
}

func (c *checker) choice(of string, list []*lf.Choice, name lf.Name) *lf.Choice {
	for _, x := range list {
		if x.Name == name {
			return x
		}
	}
	c.failf(RuleReference, "%s has no choice %s", of, name)
	return nil
}

func (c *checker) typeOfBlock(b *lf.Block) lf.Type {
	for _, x := range b.Bindings {
		t := c.star(x.Type)
		c.checkSub("binding "+x.Var, -1, x.Bound, updateOf(t))
		c.bind(x.Var, t)
	}
	t := c.sub("in", -1, b.Body)
	if _, ok := builtinApp(t, lf.TypeUpdate, 1); !ok {
		c.failf(RuleType, "the last part of a block has type %s; it must be an update", lf.TypeString(t))
	}
	for _, x := range b.Bindings {
		c.unbind(x.Var)
	}
	return t
}
