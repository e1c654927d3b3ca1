using 'main.bicep'

// Copy it to main.bicepparam and change what is yours. Nothing here is a secret. What is left out has a default in main.bicep.
param name = 'assaycontoso'
param tags = {
  system: 'assay'
}
param hubs = {
  signin: 'signins'
  mailbox: 'mailbox'
  tokens: 'tokens'
}
param allowSasSenders = true
param alertEmails = [
  'soc@contoso.example'
]
param operatorsGroupId = ''
param apiClientId = ''
