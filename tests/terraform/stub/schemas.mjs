// Recovers the schema of a Terraform provider from its CDKTF package, for what our modules use of it.
//
//     node schemas.mjs PROVIDER LIB TYPE...    PROVIDER as in `aws`; LIB the package's `lib`; TYPE `resource.NAME` or `data.NAME`
//
// Each generated class carries its TypeScript source in its source map, with `NAME - computed: ..., optional: ..., required: ...`
// over each argument: what is written and what the provider fills in is therefore known as the provider's own schema has it.
// Prints JSON of the form of `terraform providers schema -json`. What it cannot read it refuses: a gap would pass as a schema.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const [provider, lib, ...types] = process.argv.slice(2);

function fail(what) {
  console.error(`schemas: ${what}`);
  process.exit(1);
}

function source(directory) {
  const path = join(lib, directory, "index.js");
  if (!existsSync(path)) fail(`the package has no ${directory}: is the type spelt as the provider has it?`);
  const map = readFileSync(path, "utf8").match(/sourceMappingURL=data:application\/json;base64,(\S+)/);
  if (!map) fail(`${path} has no source map`);
  return JSON.parse(Buffer.from(map[1], "base64")).sourcesContent[0];
}

const scalars = { string: "string", number: "number", boolean: "bool", any: "dynamic" };

/** The type behind CDKTF's name of one: `stringList`, `anyMap`, `stringListList`. */
function simple(name) {
  const [, inner, kind] = name.match(/^(\w+)(List|Map)$/) ?? [];
  if (!inner) return scalars[name];
  const element = simple(inner);
  return element && [kind.toLowerCase(), element];
}

const getters = {
  getStringAttribute: "string", getNumberAttribute: "number", getBooleanAttribute: "bool",
  getListAttribute: ["list", "string"], getNumberListAttribute: ["list", "number"],
  getStringMapAttribute: ["map", "string"], getNumberMapAttribute: ["map", "number"], getBooleanMapAttribute: ["map", "bool"],
};

/** One generated file: its classes by name, and what its functions say of arguments. */
class Unit {
  constructor(text) {
    this.text = text;
    this.classes = new Map();
    for (const match of text.matchAll(/^export class (\w+) extends cdktf\.(\w+) \{\n([\s\S]*?)^\}/gm)) {
      this.classes.set(match[1], { base: match[2], body: match[3] });
    }
    this.functions = new Map();
    for (const match of text.matchAll(/^export function (\w+)ToHclTerraform\([\s\S]*?^\}/gm)) this.functions.set(match[1], match[0]);
  }

  root() {
    const [name, found] = [...this.classes].find(([, { base }]) => ["TerraformResource", "TerraformDataSource", "TerraformProvider"].includes(base));
    return this.block(found.body, written(found.body), name);
  }

  /** A nested class: `OutputReference`, whose arguments stand in a function of its own. */
  nested(name) {
    const found = this.classes.get(name) ?? fail(`no class ${name}`);
    const stem = name.replace(/OutputReference$/, "");
    const text = this.functions.get(stem[0].toLowerCase() + stem.slice(1)) ?? "";
    return this.block(found.body, written(text), name);
  }

  block(body, arguments_, name) {
    const block = { attributes: {}, block_types: {} };
    const heads = /^ {2}\/\/ (\w+) - computed: (\w+), optional: (\w+), required: (\w+)\n([\s\S]*?)(?=^ {2}\/\/ \w+ - computed|\n {2}\/\/ =====|(?![\s\S]))/gm;
    for (const [, argument, computed, optional, required, text] of body.matchAll(heads)) {
      const said = arguments_.get(argument);
      const made = text.match(/= new (\w+)\(this, "\w+"(?:, (true|false))?\)/);
      const flags = { computed: computed === "true", optional: optional === "true", required: required === "true" };
      if (said?.isBlock) {
        block.block_types[argument] = this.blockType(said, made, flags);
      } else {
        block.attributes[argument] = { type: this.type(said, made, text, `${name}.${argument}`), ...flags };
      }
    }
    for (const argument of arguments_.keys()) {
      if (!block.attributes[argument] && !block.block_types[argument]) fail(`${name}.${argument} is written and not described`);
    }
    return block;
  }

  blockType(said, made, flags) {
    if (!made) return this.plainBlock(said, flags);
    const inner = this.nested(made[1].replace(/List$|Map$/, "") + (made[1].endsWith("OutputReference") ? "" : "OutputReference"));
    if (said.type === "struct") return { nesting_mode: "single", block: inner };
    const one = made[1].endsWith("OutputReference");
    return { nesting_mode: said.type, block: inner, min_items: flags.required ? 1 : 0, max_items: one ? 1 : 0 };
  }

  /** A block of a provider's configuration: it has no class, only an interface and a function. */
  plainBlock(said, flags) {
    const name = said.storage.replace(/List$/, "");
    const text = this.functions.get(name[0].toLowerCase() + name.slice(1)) ?? fail(`no function for ${name}`);
    const face = this.text.match(new RegExp(`^export interface ${name} \\{\n([\\s\\S]*?)^\\}`, "m"))?.[1] ?? fail(`no interface ${name}`);
    const inner = { attributes: {}, block_types: {} };
    for (const [argument, one] of written(text)) {
      const camel = argument.replace(/_(\w)/g, (_, letter) => letter.toUpperCase());
      const required = new RegExp(`readonly ${camel}:`).test(face);
      const own = { computed: false, optional: !required, required };
      if (one.isBlock) inner.block_types[argument] = this.plainBlock(one, own);
      else inner.attributes[argument] = { type: this.type(one, null, "", `${name}.${argument}`), ...own };
    }
    if (said.type === "struct") return { nesting_mode: "single", block: inner };
    return { nesting_mode: said.type, block: inner, min_items: flags.required ? 1 : 0, max_items: 0 };
  }

  type(said, made, text, where) {
    if (made) {
      // An attribute of objects.
      const one = made[1].endsWith("OutputReference");
      const inner = this.nested(one ? made[1] : made[1].replace(/List$|Map$/, "") + "OutputReference");
      const object = ["object", Object.fromEntries([
        ...Object.entries(inner.attributes).map(([key, value]) => [key, value.type]),
        ...Object.entries(inner.block_types).map(([key, value]) => [key, asType(value)]),
      ])];
      if (one && said?.type !== "list" && said?.type !== "set") return object;
      return [made[1].endsWith("Map") ? "map" : said?.type === "set" || made[2] === "true" ? "set" : "list", object];
    }
    if (said) {
      const known = simple(said.storage) ?? fail(`${where}: a type that is not known: ${said.storage}`);
      return said.type === "set" ? ["set", known[1]] : known;
    }
    const plain = text.match(/= new cdktf\.(\w+)\(this/);
    if (plain) return simple(plain[1][0].toLowerCase() + plain[1].slice(1)) ?? fail(`${where}: a type that is not known: ${plain[1]}`);
    const getter = text.match(/this\.(get\w+Attribute)\(/);
    if (!getter) return text.includes("interpolationForAttribute") ? "dynamic" : fail(`${where} has no type`);
    const known = getters[getter[1]] ?? fail(`${where}: a getter that is not known: ${getter[1]}`);
    return text.includes("cdktf.Fn.tolist") && Array.isArray(known) ? ["set", known[1]] : known;
  }
}

function asType({ nesting_mode: nesting, block }) {
  const object = ["object", Object.fromEntries([
    ...Object.entries(block.attributes).map(([key, value]) => [key, value.type]),
    ...Object.entries(block.block_types).map(([key, value]) => [key, asType(value)]),
  ])];
  return nesting === "single" ? object : [nesting, object];
}

/** The arguments that can be written, from `attrs` of a function or method. */
function written(text) {
  const attrs = text.match(/const attrs = \{([\s\S]*?)\n\s*\};\n/);
  const found = new Map();
  for (const match of attrs?.[1].matchAll(/(\w+): \{\s*value: [\s\S]*?isBlock: (true|false),\s*type: "(\w+)",\s*storageClassType: "(\w+)",\s*\}/g) ?? []) {
    found.set(match[1], { isBlock: match[2] === "true", type: match[3], storage: match[4] });
  }
  return found;
}

const schema = { provider: new Unit(source("provider")).root(), resources: {}, data_sources: {} };
// Terraform's own argument of every provider.
delete schema.provider.attributes.alias;
for (const wanted of types) {
  const [kind, type] = wanted.split(".");
  const bare = type.slice(type.indexOf("_") + 1).replaceAll("_", "-");
  const [into, directory] = kind === "data" ? [schema.data_sources, `data-${provider}-${bare}`] : [schema.resources, bare];
  into[type] = new Unit(source(directory)).root();
}
process.stdout.write(JSON.stringify(schema));
