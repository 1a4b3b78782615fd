const name = 'written-in-javascript';
module.exports = {
  service: name, frameworkVersion: '3',
  provider: {name: 'aws', runtime: 'nodejs20.x', environment: {NAME: name, STAGE: '${sls:stage}'}},
  functions: Object.fromEntries(['create', 'update'].map((verb) => [verb, {
    handler: `src/${verb}.main`, events: [{http: {method: 'post', path: verb, cors: true}}]}])),
};
