package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// planned is what was proposed, with what the cloud would fill in unknown as long as nothing is there yet.
func (b block) planned(prior, proposed *tfprotov6.DynamicValue) (*tfprotov6.DynamicValue, error) {
	kind := b.object()
	after, err := proposed.Unmarshal(kind)
	if err != nil || after.IsNull() {
		return proposed, err
	}
	if prior != nil {
		before, err := prior.Unmarshal(kind)
		if err != nil {
			return nil, err
		}
		if !before.IsNull() {
			return proposed, nil
		}
	}
	after, err = b.unknown(after)
	if err != nil {
		return nil, err
	}
	made, err := tfprotov6.NewDynamicValue(kind, after)
	return &made, err
}

func (b block) unknown(value tftypes.Value) (tftypes.Value, error) {
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	members := map[string]tftypes.Value{}
	if err := value.As(&members); err != nil {
		return value, err
	}
	for name, one := range b.Attributes {
		if one.Computed && members[name].IsNull() {
			members[name] = tftypes.NewValue(one.Type.Type, tftypes.UnknownValue)
		}
	}
	for name, one := range b.BlockTypes {
		var err error
		if members[name], err = one.each(members[name], one.Block.unknown); err != nil {
			return value, err
		}
	}
	return tftypes.NewValue(value.Type(), members), nil
}

// each applies a change to the block, or to each of the blocks.
func (n nested) each(value tftypes.Value, change func(tftypes.Value) (tftypes.Value, error)) (tftypes.Value, error) {
	if n.Nesting == "single" {
		return change(value)
	}
	if value.IsNull() || !value.IsKnown() {
		return value, nil
	}
	var members []tftypes.Value
	if err := value.As(&members); err != nil {
		return value, err
	}
	for at, member := range members {
		var err error
		if members[at], err = change(member); err != nil {
			return value, err
		}
	}
	return tftypes.NewValue(value.Type(), members), nil
}

// filled is what was planned, with what is unknown made up: from the answers for this type, where `{name}` stands for another
// attribute of the same resource, or else anything of its type.
func (b block) filled(name string, planned *tfprotov6.DynamicValue, answers map[string]any) (*tfprotov6.DynamicValue, error) {
	kind := b.object()
	value, err := planned.Unmarshal(kind)
	if err != nil || value.IsNull() {
		return planned, err
	}
	digest := sha256.Sum256([]byte(value.String()))
	members := map[string]tftypes.Value{}
	if err := value.As(&members); err != nil {
		return nil, err
	}
	known := map[string]string{}
	for key, member := range members {
		var text string
		if member.IsKnown() && !member.IsNull() && member.Type().Is(tftypes.String) && member.As(&text) == nil {
			known["{"+key+"}"] = text
		}
	}
	for key, member := range members {
		if answer, said := answers[key]; said && !member.IsFullyKnown() {
			members[key], err = answered(member.Type(), answer, known)
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", name, key, err)
			}
		}
	}
	value, err = tftypes.Transform(tftypes.NewValue(kind, members), func(path *tftypes.AttributePath, one tftypes.Value) (tftypes.Value, error) {
		if one.IsKnown() {
			return one, nil
		}
		return anything(one.Type(), name+"-"+hex.EncodeToString(digest[:4])), nil
	})
	if err != nil {
		return nil, err
	}
	made, err := tfprotov6.NewDynamicValue(kind, value)
	return &made, err
}

func answered(kind tftypes.Type, answer any, known map[string]string) (tftypes.Value, error) {
	text, isText := answer.(string)
	if !isText || !kind.Is(tftypes.String) {
		return tftypes.Value{}, fmt.Errorf("answers are texts for texts")
	}
	for name, value := range known {
		text = strings.ReplaceAll(text, name, value)
	}
	return tftypes.NewValue(tftypes.String, text), nil
}

func anything(kind tftypes.Type, text string) tftypes.Value {
	switch {
	case kind.Is(tftypes.String):
		return tftypes.NewValue(kind, text)
	case kind.Is(tftypes.Number):
		return tftypes.NewValue(kind, 1)
	case kind.Is(tftypes.Bool):
		return tftypes.NewValue(kind, false)
	case kind.Is(tftypes.List{}), kind.Is(tftypes.Set{}):
		return tftypes.NewValue(kind, []tftypes.Value{})
	case kind.Is(tftypes.Map{}):
		return tftypes.NewValue(kind, map[string]tftypes.Value{})
	default:
		return tftypes.NewValue(kind, nil)
	}
}
