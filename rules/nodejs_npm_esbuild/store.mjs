// A program in the machine's store lies in a folder that is called by the digest of all that is in it, as
// lambdabuild/store.py has it: what somebody changed, or a disk, is not run but installed again.
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";

/** The folder in a place that is what its name promises; others are removed, and handed to `said`. */
export function whole(place, said) {
  for (const name of fs.existsSync(place) ? fs.readdirSync(place).sort() : []) {
    const folder = path.join(place, name);
    if (!/^[0-9a-f]{64}$/.test(name)) continue;
    if (digest(folder) === name) return folder;
    fs.rmSync(folder, { recursive: true, force: true });
    said(folder);
  }
  return "";
}

/** Give a finished folder its place; another step may have been first. */
export function adopt(folder, place) {
  const target = path.join(place, digest(folder));
  fs.mkdirSync(place, { recursive: true });
  // Copied first, for the store may be on another disk.
  const fresh = fs.mkdtempSync(path.join(place, ".fresh-"));
  fs.cpSync(folder, path.join(fresh, "one"), { recursive: true, verbatimSymlinks: true });
  try {
    fs.renameSync(path.join(fresh, "one"), target);
  } catch (error) {
    if (!fs.existsSync(target)) throw error;
  } finally {
    fs.rmSync(fresh, { recursive: true, force: true });
  }
  return target;
}

function digest(folder) {
  const found = [...lines(folder, "")].sort(Buffer.compare);
  return createHash("sha256").update(Buffer.concat(found)).digest("hex");
}

function* lines(folder, inside) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    const name = inside + entry.name;
    if (entry.isSymbolicLink()) {
      yield Buffer.from(`${name}\0link\0${fs.readlinkSync(file)}\n`);
    } else if (entry.isDirectory()) {
      yield* lines(file, `${name}/`);
    } else {
      const mode = fs.statSync(file).mode & 0o100 ? "755" : "644";
      yield Buffer.from(`${name}\0${mode}\0${createHash("sha256").update(fs.readFileSync(file)).digest("hex")}\n`);
    }
  }
}
