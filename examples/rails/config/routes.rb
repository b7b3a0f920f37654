Rails.application.routes.draw do
  root "orders#index"
  resources :orders, only: [:index, :create]
  resources :jobs, only: [:index, :create]
end
