// Says of each condition of a plugin whether it holds. They are JavaScript, evaluated where the plugins evaluate them:
// in a method whose `this` has the service. In: {conditions, service, options} on stdin; out: one line of JSON.
'use strict';

const fs = require('fs');

const given = JSON.parse(fs.readFileSync(0, 'utf8').split('\n', 1)[0]);
process.stdout.write = process.stderr.write.bind(process.stderr); // what a condition prints is not for us
const plugin = {
  serverless: { service: given.service, cli: { log: () => {} } },
  options: given.options,
  holds(condition) {
    return eval(condition);
  },
};
const answers = given.conditions.map((condition) => {
  try {
    return { holds: Boolean(plugin.holds(condition)) };
  } catch (error) {
    return { error: String(error) };
  }
});
fs.writeSync(1, `${JSON.stringify(answers)}\n`);
process.exit(0);
