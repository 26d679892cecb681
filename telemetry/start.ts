/**
 * Starts the OpenTelemetry SDK: `node --import @conveyor/telemetry service.js`. Nothing is loaded when
 * `OTEL_SDK_DISABLED` is true.
 */
if (process.env.OTEL_SDK_DISABLED?.trim().toLowerCase() !== 'true') {
  const { startSdk } = await import('./sdk.ts')
  startSdk()
}
