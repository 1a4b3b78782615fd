// What a bundle needs from outside its code folder: imported files, tsconfig.json files and what these lead to.
// The source is mirrored into `tree`; files from outside are linked there when they are asked for.
import fs from "node:fs";
import path from "node:path";

export const EXTENSIONS = [".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"];
const CONFIG = "tsconfig.json", MODULES = `${path.sep}node_modules${path.sep}`;
const inside = (file, folder) => file === folder || file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep);

export function outside(place, base, configured) {
  const real = (file) => path.join(base, path.relative(place.tree, file));
  const isOurs = (file) => inside(file, place.source) || file.includes(MODULES);
  const folders = new Set(), configs = new Map(), read = new Set();

  // All files of a folder at once, and of those above it, for esbuild lists a folder only once.
  function bring(folder) {
    if (folders.has(folder) || isOurs(folder) || !inside(folder, place.tree)) return;
    folders.add(folder);
    if (folder !== place.tree) bring(path.dirname(folder));
    if (!fs.existsSync(real(folder)) || !fs.statSync(real(folder)).isDirectory()) return;
    fs.mkdirSync(folder, { recursive: true });
    for (const entry of fs.readdirSync(real(folder), { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (entry.name.startsWith(".env") || fs.existsSync(file)) continue;
      if (fs.statSync(real(file), { throwIfNoEntry: false })?.isFile()) fs.symlinkSync(real(file), file);
    }
  }

  // The first of these files that is there, brought into the tree.
  function found(files) {
    for (const file of files.filter((one) => inside(one, place.tree) && !isOurs(one))) {
      if (!fs.statSync(real(file), { throwIfNoEntry: false })?.isFile()) continue;
      bring(path.dirname(file));
      return file;
    }
    return undefined;
  }

  // The nearest tsconfig.json of a folder: where its non-relative imports are looked for.
  function configOf(folder) {
    if (configured) return config(path.resolve(place.source, configured));
    for (let one = folder; inside(one, place.tree); one = path.dirname(one)) {
      const file = path.join(one, CONFIG);
      if (!isOurs(file)) bring(one), read.add(file);
      if (fs.existsSync(file)) return config(file);
    }
    return {};
  }

  function config(file, seen = []) {
    if (configs.has(file) || seen.includes(file)) return configs.get(file) ?? {};
    if (!isOurs(file)) bring(path.dirname(file)), read.add(file);
    const data = fs.existsSync(file) ? parsed(fs.readFileSync(file, "utf8")) : {}, folder = path.dirname(file);
    const options = data.compilerOptions ?? {};
    const above = [data.extends ?? []].flat().map((name) => config(extended(folder, String(name)), [...seen, file]));
    const result = Object.assign({}, ...above);
    if (options.baseUrl) result.baseUrl = path.resolve(folder, String(options.baseUrl).replace("${configDir}", "."));
    if (options.paths) Object.assign(result, { paths: options.paths, from: options.baseUrl ? result.baseUrl : folder });
    configs.set(file, result);
    return result;
  }

  function extended(folder, name) {
    if (!/^\.\.?(\/|$)/.test(name) && !path.isAbsolute(name)) {
      for (let one = folder; inside(one, place.tree); one = path.dirname(one)) {
        const module = path.join(one, "node_modules", name);
        for (const file of [module, module + ".json", path.join(module, CONFIG)]) {
          if (fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
        }
      }
      return path.join(folder, "node_modules", name);
    }
    const file = path.resolve(folder, name);
    return file.endsWith(".json") || found([file]) ? file : file + ".json";
  }

  // Where an import that is no relative path may lie by the settings of TypeScript, best first.
  function mapped(asked, folder) {
    const { paths = {}, from, baseUrl } = configOf(folder), places = [];
    const matches = Object.keys(paths)
      .map((pattern) => ({ pattern, star: pattern.indexOf("*"), head: pattern.split("*")[0], tail: pattern.split("*")[1] ?? "" }))
      .filter(({ pattern, star, head, tail }) =>
        star < 0 ? pattern === asked : asked.length >= head.length + tail.length && asked.startsWith(head) && asked.endsWith(tail))
      .sort((one, other) => (one.star < 0 ? -1 : other.star < 0 ? 1 : other.head.length - one.head.length));
    for (const { pattern, head, tail } of matches.slice(0, 1)) {
      const middle = asked.slice(head.length, asked.length - tail.length);
      for (const target of paths[pattern]) places.push(path.resolve(from ?? baseUrl ?? folder, target.replace("*", () => middle)));
    }
    return baseUrl ? [...places, path.resolve(baseUrl, asked)] : places;
  }

  const names = (file) => [file, ...EXTENSIONS.flatMap((end) => [file + end, file.replace(/\.[cm]?js$/, "") + end]),
    file + ".json", ...EXTENSIONS.map((end) => path.join(file, "index" + end))];

  return {
    plugin: {
      name: "outside",
      setup(build) {
        bring(path.dirname(place.source));
        configOf(place.source);
        build.onResolve({ filter: /./ }, ({ path: asked, resolveDir, kind }) => {
          if (kind === "entry-point" || !resolveDir || resolveDir.includes(MODULES) || path.isAbsolute(asked)) return undefined;
          const places = /^\.\.?(\/|$)/.test(asked) ? [path.resolve(resolveDir, asked)] : mapped(asked, resolveDir);
          for (const wanted of places) if (isOurs(wanted) || found(names(wanted))) break;
          return undefined;
        });
      },
    },
    // What was read of these: files of this machine, and settings that would count if they were there.
    reads(metafile) {
      const inputs = Object.keys(metafile.inputs).map((name) => path.resolve(place.source, name));
      const files = inputs.filter((file) => inside(file, place.tree) && !isOurs(file));
      for (const file of files) {
        configOf(path.dirname(file));
        for (let one = path.dirname(file); inside(one, place.tree) && !isOurs(one); one = path.dirname(one)) {
          read.add(path.join(one, "package.json"));
        }
      }
      return [...new Set([...files, ...read])].filter((file) => !isOurs(file)).map(real).sort();
    },
  };
}

// JSON with comments and trailing commas, as TypeScript has it.
function parsed(text) {
  const kept = text.replace(/^\uFEFF/, "").replace(/"(?:\\.|[^"\\])*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g, (part) => (part[0] === '"' ? part : " "));
  try {
    return JSON.parse(kept.replace(/"(?:\\.|[^"\\])*"|,(?=\s*[}\]])/g, (part) => (part === "," ? "" : part)));
  } catch {
    return {}; // esbuild says what is wrong
  }
}
