// node test/class_members.js: for {classes, characters} on stdin, which characters each class holds,
// as a text of 0 and 1, or null where the class is refused.

import { readFileSync } from 'node:fs';
import { parseRegex } from '../dist/patterns/regex.js';

const { classes, characters } = JSON.parse(readFileSync(0, 'utf8'));
const found = classes.map((each) => {
  try {
    const { reads } = parseRegex(each);
    return Array.from(characters, (character) => Number(reads.holds(character))).join('');
  } catch {
    return null;
  }
});
process.stdout.write(JSON.stringify(found));
