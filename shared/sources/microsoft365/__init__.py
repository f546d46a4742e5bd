"""OneDrive for Business and Office 365, through Microsoft Graph."""
