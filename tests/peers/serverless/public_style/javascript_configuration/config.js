module.exports = () => ({memory: 64 * 8, environment: {STARTED: 'yes', COUNT: 3}, events: [{http: {path: 'one', method: 'get'}}, {schedule: 'rate(2 hours)'}]});
